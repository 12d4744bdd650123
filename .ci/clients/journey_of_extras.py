"""What the extras add: editing, sessions, a quota of attempts, the end of the account."""

import sys
from typing import Any, TypeVar

from posts_client import AuthenticatedClient, Client
from posts_client.api.account import change_password, delete_account, delete_session, export_data, list_sessions
from posts_client.api.account import log_out, login, refresh_token, signup
from posts_client.api.health import livez, readyz
from posts_client.api.posts import add_post, delete_post, edit_post, get_post, get_posts
from posts_client.models import AccessToken, Credentials, Edit, EditStatus, Export, Farewell, Health, NewPassword, Post
from posts_client.models import PostCreated, PostInput, PostStatus, Refusal, Trade
from posts_client.types import Response

T = TypeVar("T")


def parsed(kind: type[T], response: Response[Any], status: int) -> T:
    assert response.status_code == status, response.content
    assert isinstance(response.parsed, kind)
    return response.parsed


def done(response: Response[Any]) -> None:
    assert response.status_code == 204, response.content


def main(url: str) -> None:
    anybody = Client(url, raise_on_unexpected_status=True)
    assert parsed(Health, livez.sync_detailed(client=anybody), 200).status.value == "alive"
    assert parsed(Health, readyz.sync_detailed(client=anybody), 200).status.value == "ready"
    eve = Credentials("extras.py@example.com", "correct horse")
    first = parsed(AccessToken, signup.sync_detailed(client=anybody, body=eve), 201)
    token = parsed(AccessToken, refresh_token.sync_detailed(client=anybody, body=Trade(first.refresh_token)), 200)
    parsed(Refusal, refresh_token.sync_detailed(client=anybody, body=Trade("no token")), 401)
    client = AuthenticatedClient(url, token.access_token, raise_on_unexpected_status=True)

    post_id = parsed(PostCreated, add_post.sync_detailed(client=client, body=PostInput("hi")), 201).post_id
    answer = get_post.sync_detailed(post_id, client=client)
    post = parsed(Post, answer, 200)
    assert post.version > 2**32
    assert answer.headers["ETag"] == f'"{post.version}"'
    assert get_post.sync_detailed(post_id, client=client, if_none_match=f'"{post.version}"').status_code == 304
    assert "RateLimit" in answer.headers
    edit = Edit(text="ho", status=EditStatus.DRAFT)
    edited = parsed(Post, edit_post.sync_detailed(post_id, client=client, body=edit, if_match=f'"{post.version}"'), 200)
    assert (edited.text, edited.status) == ("ho", PostStatus.DRAFT)
    parsed(Refusal, edit_post.sync_detailed(post_id, client=client, body=edit, if_match=f'"{post.version}"'), 412)
    parsed(Refusal, delete_post.sync_detailed(post_id, client=client, if_match='"1"'), 412)
    assert [each.version for each in parsed(list, get_posts.sync_detailed(client=client), 200)] == [edited.version]

    export = parsed(Export, export_data.sync_detailed(client=client), 200)
    assert [each.text for each in export.posts] == ["ho"]
    second = parsed(AccessToken, login.sync_detailed(client=anybody, body=eve), 200)
    sessions = parsed(list, list_sessions.sync_detailed(client=client), 200)
    assert [each.current for each in sessions] == [False, True]
    done(delete_session.sync_detailed(sessions[0].session_id, client=client))
    gone = AuthenticatedClient(url, second.access_token, raise_on_unexpected_status=True)
    parsed(Refusal, log_out.sync_detailed(client=gone), 401)
    done(change_password.sync_detailed(client=client, body=NewPassword(eve.password, "battery staple correct")))
    parsed(Refusal, delete_account.sync_detailed(client=client, body=Farewell(eve.password)), 403)
    done(delete_account.sync_detailed(client=client, body=Farewell("battery staple correct")))

    nobody = Credentials("nobody.py@example.com", "correct horse")
    answers = [login.sync_detailed(client=anybody, body=nobody) for _ in range(4)]
    assert [each.status_code for each in answers] == [401, 401, 401, 429]
    assert int(answers[3].headers["Retry-After"]) > 0


main(sys.argv[1])
