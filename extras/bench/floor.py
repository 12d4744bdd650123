"""What the framework can do: the bytes of a list of ten posts, with no database and no check."""

from fastapi import FastAPI, Response

POST = '{"postID":%d,"text":"%s","status":"published","createdAt":"%s","updatedAt":"%s"}'
TIME = "2026-11-23T06:25:57.229000Z"
BODY = f"[{','.join(POST % (10 - i, 'x' * 200, TIME, TIME) for i in range(10))}]".encode()

app = FastAPI()


@app.get("/async")
async def bare_async() -> Response:
    return Response(BODY, media_type="application/json")


@app.get("/sync")
def bare_sync() -> Response:
    return Response(BODY, media_type="application/json")
