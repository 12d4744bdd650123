"""What a client does from the sign-up to the last post, errors included, with the client that was generated."""

import sys
from http import HTTPStatus
from typing import Any, TypeVar

from posts_client import AuthenticatedClient, Client
from posts_client.api.account import login, signup
from posts_client.api.posts import add_post, delete_post, get_posts
from posts_client.models import AccessToken, Credentials, GetPostsStatus, HTTPValidationError, Post, PostCreated
from posts_client.models import PostInput, PostInputStatus, PostStatus, Refusal
from posts_client.types import Response

T = TypeVar("T")


def parsed(kind: type[T], response: Response[Any], status: int) -> T:
    assert response.status_code == HTTPStatus(status), response.content
    assert isinstance(response.parsed, kind)
    return response.parsed


def posts(response: Response[Any]) -> list[Post]:
    return [each for each in parsed(list, response, 200) if isinstance(each, Post)]


def main(url: str) -> None:
    anybody = Client(url, raise_on_unexpected_status=True)
    ada = Credentials("journey.py@example.com", "correct horse")
    parsed(AccessToken, signup.sync_detailed(client=anybody, body=ada), 201)
    parsed(Refusal, signup.sync_detailed(client=anybody, body=ada), 409)
    wrong = parsed(HTTPValidationError, signup.sync_detailed(client=anybody, body=Credentials("ada", "short")), 422)
    assert isinstance(wrong.detail, list)
    assert [each.loc for each in wrong.detail] == [["body", "email"], ["body", "password"]]
    nobody = Credentials("nobody@example.com", "correct horse")
    refused = login.sync_detailed(client=anybody, body=nobody)
    assert parsed(Refusal, refused, 401).detail
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    token = parsed(AccessToken, login.sync_detailed(client=anybody, body=ada), 200)
    assert token.expires_in == 86400

    stranger = AuthenticatedClient(url, "no token", raise_on_unexpected_status=True)
    parsed(Refusal, get_posts.sync_detailed(client=stranger), 401)
    client = AuthenticatedClient(url, token.access_token, raise_on_unexpected_status=True)
    for number, status in enumerate((PostInputStatus.PUBLISHED, PostInputStatus.DRAFT, None)):
        body = PostInput(f"post {number} \U0001f600") if status is None else PostInput(f"post {number}", status)
        parsed(PostCreated, add_post.sync_detailed(client=client, body=body), 201)
    parsed(HTTPValidationError, add_post.sync_detailed(client=client, body=PostInput("")), 422)
    parsed(Refusal, add_post.sync_detailed(client=client, body=PostInput("x" * 1_048_576)), 413)

    answer = get_posts.sync_detailed(client=client)
    assert [each.text for each in posts(answer)] == ["post 2 \U0001f600", "post 1", "post 0"]
    assert [each.status for each in posts(answer)] == [PostStatus.PUBLISHED, PostStatus.DRAFT, PostStatus.PUBLISHED]
    assert posts(answer)[0].created_at.tzinfo is not None
    unchanged = get_posts.sync_detailed(client=client, if_none_match=answer.headers["ETag"])
    assert (unchanged.status_code, unchanged.parsed) == (304, None)
    page = get_posts.sync_detailed(client=client, limit=1)
    assert 'rel="next"' in page.headers["Link"]
    rest = get_posts.sync_detailed(client=client, before=posts(page)[0].post_id, status=GetPostsStatus.PUBLISHED)
    assert [each.text for each in posts(rest)] == ["post 0"]
    parsed(HTTPValidationError, get_posts.sync_detailed(client=client, limit=0), 422)

    gone = delete_post.sync_detailed(posts(page)[0].post_id, client=client)
    assert gone.status_code == 204
    parsed(Refusal, delete_post.sync_detailed(posts(page)[0].post_id, client=client), 404)


main(sys.argv[1])
