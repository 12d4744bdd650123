// Compiled with the client that was generated: what has more than 32 bits, and what need not be sent.
package openapi

func journey(post Post, token AccessToken) (*PostInput, int64, int64, int64) {
	return NewPostInput("hi"), NewPostCreated(1).PostID, post.PostID, token.ExpiresIn
}
