// What the extras add: editing, sessions, a quota of attempts, the end of the account.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./posts.js";

const baseUrl = process.argv[2]!;
const anybody = createClient<paths>({ baseUrl });
assert.equal((await anybody.GET("/livez")).data!.status, "alive");
assert.equal((await anybody.GET("/readyz")).data!.status, "ready");
const eve = { email: "extras.ts@example.com", password: "correct horse" };
const first = (await anybody.POST("/signup", { body: eve })).data!;
const token = (await anybody.POST("/refreshToken", { body: { refresh_token: first.refresh_token } })).data!;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token.access_token}` } });

const path = { postID: (await client.POST("/addPost", { body: { text: "hi" } })).data!.postID };
const post = await client.GET("/getPost/{postID}", { params: { path } });
const header = { "If-Match": `"${post.data!.version}"` };
assert.equal(post.response.headers.get("ETag"), header["If-Match"]);
assert.ok(post.response.headers.get("RateLimit"));
const edited = await client.PUT("/editPost/{postID}", { params: { path, header }, body: { status: "draft" } });
assert.equal(edited.data!.status, "draft");
const lost = await client.PUT("/editPost/{postID}", { params: { path, header }, body: { text: "ho" } });
assert.equal(lost.response.status, 412);
assert.equal((await client.DELETE("/deletePost/{postID}", { params: { path, header } })).response.status, 412);

assert.equal((await client.GET("/exportData")).data!.posts.length, 1);
assert.deepEqual((await client.GET("/sessions")).data!.map((session) => session.current), [true]);
const passwords = { current_password: eve.password, new_password: "battery staple correct" };
assert.equal((await client.POST("/changePassword", { body: passwords })).response.status, 204);
const wrong = await client.POST("/deleteAccount", { body: { password: eve.password } });
assert.equal(wrong.response.status, 403);
assert.ok(wrong.error?.detail);
assert.equal((await client.POST("/deleteAccount", { body: { password: passwords.new_password } })).response.status, 204);

const nobody = { ...eve, email: "nobody.ts@example.com" };
for (const status of [401, 401, 401, 429]) {
  const answer = await anybody.POST("/login", { body: nobody });
  assert.equal(answer.response.status, status);
  assert.equal(answer.response.headers.has("Retry-After"), status === 429);
}
