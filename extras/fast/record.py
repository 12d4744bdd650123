"""Log records that are copied quickly, as uvicorn's formatters copy each to add to it."""

import logging


class Record(logging.LogRecord):
    def __copy__(self) -> "Record":
        twin = Record.__new__(Record)
        twin.__dict__.update(self.__dict__)
        return twin

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        return logging.makeLogRecord, (self.__dict__,)  # a process that reads it may not have this class


def use() -> None:
    if logging.getLogRecordFactory() is logging.LogRecord:  # or somebody adds to each record
        logging.setLogRecordFactory(Record)
