"""Log records that are copied quickly, as uvicorn's formatters copy each to add to it."""

import logging


class Record(logging.LogRecord):
    def __copy__(self) -> "Record":
        twin = Record.__new__(Record)
        twin.__dict__.update(self.__dict__)
        return twin


def use() -> None:
    if logging.getLogRecordFactory() is logging.LogRecord:  # or somebody adds to each record
        logging.setLogRecordFactory(Record)
