// What a client does from the sign-up to the last post, errors included, with the types that were generated.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./posts.js";

const baseUrl = process.argv[2]!;
const anybody = createClient<paths>({ baseUrl });
const ada: components["schemas"]["Credentials"] = { email: "journey.ts@example.com", password: "correct horse" };

const account = await anybody.POST("/signup", { body: ada });
assert.equal(account.response.status, 201);
const taken = await anybody.POST("/signup", { body: ada });
assert.equal(taken.response.status, 409);
assert.ok(taken.error?.detail);
const invalid = await anybody.POST("/signup", { body: { email: "ada", password: "short" } });
assert.equal(invalid.response.status, 422);
assert.ok(Array.isArray(invalid.error?.detail));
assert.deepEqual(invalid.error.detail.map((each) => each.loc[1]), ["email", "password"]);
const refused = await anybody.POST("/login", { body: { ...ada, email: "nobody@example.com" } });
assert.equal(refused.response.status, 401);
assert.equal(refused.response.headers.get("WWW-Authenticate"), "Bearer");
const token = (await anybody.POST("/login", { body: ada })).data!;
assert.equal(token.token_type, "bearer");

assert.equal((await anybody.GET("/getPosts")).response.status, 401);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token.access_token}` } });
const bodies: components["schemas"]["PostInput"][] = [{ text: "first" }, { text: "second", status: "draft" }, { text: "third 😀" }];
for (const body of bodies) {
  const added = await client.POST("/addPost", { body }); // the status need not be sent
  assert.equal(added.response.status, 201);
  assert.equal(typeof added.data!.postID, "number");
}
assert.equal((await client.POST("/addPost", { body: { text: "" } })).response.status, 422);
assert.equal((await client.POST("/addPost", { body: { text: "x".repeat(1_048_576) } })).response.status, 413);

const list = await client.GET("/getPosts");
assert.deepEqual(list.data!.map((post) => post.text), ["third 😀", "second", "first"]);
const headers = { "If-None-Match": list.response.headers.get("ETag")! };
assert.equal((await client.GET("/getPosts", { params: { header: headers } })).response.status, 304);
const page = await client.GET("/getPosts", { params: { query: { limit: 1 } } });
assert.match(page.response.headers.get("Link")!, /rel="next"/);
const before = page.data![0]!.postID;
const rest = await client.GET("/getPosts", { params: { query: { before, status: "published" } } });
assert.deepEqual(rest.data!.map((post) => post.text), ["first"]);
assert.equal((await client.GET("/getPosts", { params: { query: { limit: 1001 } } })).response.status, 422);

const path = { postID: before };
assert.equal((await client.DELETE("/deletePost/{postID}", { params: { path } })).response.status, 204);
const gone = await client.DELETE("/deletePost/{postID}", { params: { path } });
assert.equal(gone.response.status, 404);
assert.ok(gone.error?.detail);
