"""The refusals in OpenAPI."""

from extras.description import STR, Node, add_headers, changes, refuse

from .middleware import BY_ADDRESS, is_public

RATES = {"RateLimit": STR, "RateLimit-Policy": STR}


def document(quota: bool) -> None:
    """The new refusals in OpenAPI, those of later extras' routes too."""

    def add_refusals(whole: Node) -> None:
        for path, operations in whole["paths"].items():
            for operation in operations.values():
                if quota and path in {"/addPost", "/editPost/{postID}"}:
                    refuse(operation, "403", "Your quota is used up")
                if path in BY_ADDRESS or is_public(path) or operation["security"]:
                    refuse(operation, "429", "Too many: try again after `Retry-After` seconds")
                    for answer in operation["responses"].values():
                        add_headers(answer, RATES)

    changes.append(add_refusals)
