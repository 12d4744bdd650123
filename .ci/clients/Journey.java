// Compiled with the client that was generated: what has more than 32 bits, and what need not be sent.
import org.openapitools.client.model.AccessToken;
import org.openapitools.client.model.Post;
import org.openapitools.client.model.PostInput;

class Journey {
    static long run(Post post, AccessToken token) {
        PostInput body = new PostInput().text("hi");
        Long id = post.getPostID();
        Long seconds = token.getExpiresIn();
        return id + seconds + body.getText().length();
    }
}
