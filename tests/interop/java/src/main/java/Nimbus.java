import com.nimbusds.oauth2.sdk.AuthorizationGrant;
import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.ErrorObject;
import com.nimbusds.oauth2.sdk.OAuth2Error;
import com.nimbusds.oauth2.sdk.RefreshTokenGrant;
import com.nimbusds.oauth2.sdk.ResourceOwnerPasswordCredentialsGrant;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenIntrospectionRequest;
import com.nimbusds.oauth2.sdk.TokenIntrospectionResponse;
import com.nimbusds.oauth2.sdk.TokenIntrospectionSuccessResponse;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.TokenRevocationRequest;
import com.nimbusds.oauth2.sdk.as.AuthorizationServerMetadata;
import com.nimbusds.oauth2.sdk.auth.ClientAuthentication;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.ClientSecretPost;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.http.HTTPResponse;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.id.Issuer;
import com.nimbusds.oauth2.sdk.token.AccessToken;
import com.nimbusds.oauth2.sdk.token.BearerTokenError;
import com.nimbusds.oauth2.sdk.token.RefreshToken;
import com.nimbusds.oauth2.sdk.token.Token;
import com.nimbusds.oauth2.sdk.token.Tokens;
import java.net.URI;

/**
 * The Nimbus OAuth SDK against the service, as its documentation shows it, with the values of the metadata.
 *
 * <p>Prints a line for each operation that succeeded: client, operation, result.
 */
public final class Nimbus {
    private static final String URL = System.getenv("VESTIBULE");
    private static final String EMAIL = System.getenv("EMAIL");
    private static final String PASSWORD = System.getenv("PASSWORD");
    private static final String SECRET = System.getenv("SECRET");
    private static final String WRONG_SECRET = "not-the-right-secret";

    private final String name;
    private final ClientID id;
    private final AuthorizationServerMetadata server;
    /** None: the client is public. */
    private final ClientAuthentication proof;

    private Nimbus(String name, String id, ClientAuthentication proof) throws Exception {
        this.name = name;
        this.id = new ClientID(id);
        this.proof = proof;
        server = AuthorizationServerMetadata.resolve(new Issuer(URL));
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("\terrors are\tErrorObject.getCode()");
        ClientID shop = new ClientID("shop");
        Secret secret = new Secret(SECRET);
        new Nimbus("web, public", "web", null).run();
        new Nimbus("shop, client_secret_basic", "shop", new ClientSecretBasic(shop, secret)).run();
        new Nimbus("shop, client_secret_post", "shop", new ClientSecretPost(shop, secret)).run();
    }

    private void run() throws Exception {
        check("discovery", server.getTokenEndpointURI().toString().equals(URL + "/oauth/token"), server);
        done("discovery", "ok");

        Tokens first = tokens(signIn(EMAIL, PASSWORD, null));
        AccessToken token = first.getAccessToken();
        check("sign-in", token.getType().getValue().equals("Bearer") && token.getLifetime() > 0, token);
        check("sign-in", first.getRefreshToken() != null && token.getScope() != null, first);
        done("sign-in", "ok");

        HTTPResponse me = use(first);
        check("use", EMAIL.equals(me.getBodyAsJSONObject().get("email")), me.getBody());
        done("use", "ok");

        Tokens second = tokens(refresh(first.getRefreshToken()));
        check("refresh", !second.getRefreshToken().equals(first.getRefreshToken()), "the same");
        check("refresh", use(second).getStatusCode() == 200, "unusable");
        done("refresh", "ok");

        if (proof != null) {
            TokenIntrospectionSuccessResponse known = introspect(second.getAccessToken());
            check("introspection", known.isActive() && known.getClientID().equals(id), known);
            check("introspection", known.getUsername().equals(EMAIL), known);
            check("introspection", known.getScope().equals(second.getAccessToken().getScope()), known);
        }
        HTTPResponse revoked = revocation(second.getRefreshToken()).toHTTPRequest().send();
        check("revocation", revoked.indicatesSuccess(), revoked.getBody());
        done("revocation", "ok");
        BearerTokenError dead = BearerTokenError.parse(use(second).getWWWAuthenticate());
        check("revoked token", dead.equals(BearerTokenError.INVALID_TOKEN), dead);
        done("revoked token", dead.getCode());
        if (proof != null) {
            check("introspection", !introspect(second.getAccessToken()).isActive(), "alive");
            done("introspection", "ok");
        }

        ClientAuthentication lie = proof instanceof ClientSecretBasic
            ? new ClientSecretBasic(id, new Secret(WRONG_SECRET))
            : new ClientSecretPost(id, new Secret(WRONG_SECRET));
        Nimbus stranger = new Nimbus(name, id.getValue(), lie);
        refused("wrong secret", OAuth2Error.INVALID_CLIENT, stranger.signIn(EMAIL, PASSWORD, null));
        refused("wrong password", OAuth2Error.INVALID_GRANT, signIn(EMAIL, "not the right password", null));
        Scope greedy = new Scope("account.read", "admin");
        refused("too much scope", OAuth2Error.INVALID_SCOPE, signIn(EMAIL, PASSWORD, greedy));
        // the library does not send this request for a public client
        if (proof != null) {
            TokenResponse machine = ask(new ClientCredentialsGrant(), null);
            refused("unknown grant", OAuth2Error.UNSUPPORTED_GRANT_TYPE, machine);
        }
        TokenResponse kiosk = new Nimbus(name, "kiosk", null).refresh(first.getRefreshToken());
        refused("grant not allowed", OAuth2Error.UNAUTHORIZED_CLIENT, kiosk);
        refused("broken request", OAuth2Error.INVALID_REQUEST, signIn("a\0b", PASSWORD, null));

        // a thief has copied a refresh token, and uses it after its owner did
        RefreshToken stolen = tokens(signIn(EMAIL, PASSWORD, null)).getRefreshToken();
        Tokens fresh = tokens(refresh(stolen));
        refused("spent refresh token", OAuth2Error.INVALID_GRANT, refresh(stolen));
        refused("after the theft", OAuth2Error.INVALID_GRANT, refresh(fresh.getRefreshToken()));
    }

    private TokenResponse signIn(String username, String password, Scope scope) throws Exception {
        return ask(new ResourceOwnerPasswordCredentialsGrant(username, new Secret(password)), scope);
    }

    private TokenResponse refresh(RefreshToken token) throws Exception {
        return ask(new RefreshTokenGrant(token), null);
    }

    private TokenResponse ask(AuthorizationGrant grant, Scope scope) throws Exception {
        URI endpoint = server.getTokenEndpointURI();
        TokenRequest request = proof == null
            ? new TokenRequest(endpoint, id, grant, scope)
            : new TokenRequest(endpoint, proof, grant, scope);
        return TokenResponse.parse(request.toHTTPRequest().send());
    }

    private TokenRevocationRequest revocation(Token token) {
        URI endpoint = server.getRevocationEndpointURI();
        return proof == null
            ? new TokenRevocationRequest(endpoint, id, token)
            : new TokenRevocationRequest(endpoint, proof, token);
    }

    private TokenIntrospectionSuccessResponse introspect(Token token) throws Exception {
        URI endpoint = server.getIntrospectionEndpointURI();
        HTTPRequest request = new TokenIntrospectionRequest(endpoint, proof, token).toHTTPRequest();
        return TokenIntrospectionResponse.parse(request.send()).toSuccessResponse();
    }

    private HTTPResponse use(Tokens tokens) throws Exception {
        HTTPRequest request = new HTTPRequest(HTTPRequest.Method.GET, URI.create(URL + "/v1/me"));
        request.setAuthorization(tokens.getAccessToken().toAuthorizationHeader());
        return request.send();
    }

    private Tokens tokens(TokenResponse response) {
        check("tokens", response.indicatesSuccess(), response.toHTTPResponse().getBody());
        return response.toSuccessResponse().getTokens();
    }

    /** Checks the library's result for an error of the service. */
    private void refused(String operation, ErrorObject expected, TokenResponse response) {
        check(operation, !response.indicatesSuccess(), "not refused");
        ErrorObject error = response.toErrorResponse().getErrorObject();
        check(operation, error.equals(expected) && error.getDescription() != null, error.toJSONObject());
        done(operation, error.getCode());
    }

    private void done(String operation, String seen) {
        System.out.println(name + "\t" + operation + "\t" + seen);
    }

    private void check(String operation, boolean holds, Object seen) {
        if (!holds) throw new AssertionError(name + ": " + operation + ": " + seen);
    }
}
