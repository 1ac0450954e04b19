// golang.org/x/oauth2 against the service, as its documentation shows it.
//
// Prints a line for each operation that succeeded: client, operation, result.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const wrongSecret = "not-the-right-secret"

var (
	url      = os.Getenv("VESTIBULE")
	email    = os.Getenv("EMAIL")
	password = os.Getenv("PASSWORD")
	ctx      = context.Background()
)

type client struct {
	name, id, secret string
	style            oauth2.AuthStyle
}

func (c client) config(scopes ...string) *oauth2.Config {
	endpoint := oauth2.Endpoint{TokenURL: url + "/oauth/token", AuthStyle: c.style}
	return &oauth2.Config{ClientID: c.id, ClientSecret: c.secret, Endpoint: endpoint, Scopes: scopes}
}

func (c client) done(operation, seen string) {
	fmt.Printf("%s\t%s\t%s\n", c.name, operation, seen)
}

func (c client) check(operation string, ok bool, seen any) {
	if !ok {
		log.Fatalf("%s: %s: %v", c.name, operation, seen)
	}
}

// refused checks the library's error for an error of the service.
func (c client) refused(operation, code string, err error) {
	var retrieve *oauth2.RetrieveError
	c.check(operation, errors.As(err, &retrieve), err)
	c.check(operation, retrieve.ErrorCode == code && retrieve.ErrorDescription != "", err)
	c.done(operation, retrieve.ErrorCode)
}

// use reads the account with the library's own HTTP client, which refreshes an expired token.
func (c client) use(source oauth2.TokenSource) (status int, who string) {
	answer, err := oauth2.NewClient(ctx, source).Get(url + "/v1/me")
	c.check("use", err == nil, err)
	defer answer.Body.Close()
	var me struct{ Email string }
	err = json.NewDecoder(answer.Body).Decode(&me)
	c.check("use", err == nil, err)
	return answer.StatusCode, me.Email
}

// expired is the token after a long time in a store.
func expired(token *oauth2.Token) *oauth2.Token {
	old := *token
	old.Expiry = time.Now().Add(-time.Hour)
	return &old
}

func (c client) run() {
	config := c.config()
	signIn := func(config *oauth2.Config) (*oauth2.Token, error) {
		return config.PasswordCredentialsToken(ctx, email, password)
	}

	first, err := signIn(config)
	c.check("sign-in", err == nil, err)
	c.check("sign-in", first.Type() == "Bearer" && first.Valid() && first.RefreshToken != "", first.Type())
	c.done("sign-in", "ok")

	status, who := c.use(config.TokenSource(ctx, first))
	c.check("use", status == http.StatusOK && who == email, status)
	c.done("use", "ok")

	// the library refreshes expired tokens only
	second, err := config.TokenSource(ctx, expired(first)).Token()
	c.check("refresh", err == nil, err)
	c.check("refresh", second.RefreshToken != first.RefreshToken, "the same refresh token")
	c.done("refresh", "ok")
	source := config.TokenSource(ctx, expired(second))
	status, who = c.use(source)
	c.check("automatic refresh", status == http.StatusOK && who == email, status)
	c.done("automatic refresh", "ok")

	stranger := c
	stranger.secret = wrongSecret
	_, err = signIn(stranger.config())
	c.refused("wrong secret", "invalid_client", err)
	_, err = config.PasswordCredentialsToken(ctx, email, "not the right password")
	c.refused("wrong password", "invalid_grant", err)
	_, err = signIn(c.config("account.read", "admin"))
	c.refused("too much scope", "invalid_scope", err)
	machine := clientcredentials.Config{
		ClientID: c.id, ClientSecret: c.secret, TokenURL: url + "/oauth/token", AuthStyle: c.style,
	}
	_, err = machine.Token(ctx)
	c.refused("unknown grant", "unsupported_grant_type", err)
	kiosk := client{name: c.name, id: "kiosk", style: oauth2.AuthStyleInParams}
	_, err = kiosk.config().TokenSource(ctx, expired(first)).Token()
	c.refused("grant not allowed", "unauthorized_client", err)
	_, err = config.PasswordCredentialsToken(ctx, "a\x00b", password)
	c.refused("broken request", "invalid_request", err)

	// a thief has copied a refresh token, and uses it after its owner did
	stolen, err := signIn(config)
	c.check("theft", err == nil, err)
	fresh, err := config.TokenSource(ctx, expired(stolen)).Token()
	c.check("theft", err == nil, err)
	_, err = config.TokenSource(ctx, expired(stolen)).Token()
	c.refused("spent refresh token", "invalid_grant", err)
	_, err = config.TokenSource(ctx, expired(fresh)).Token()
	c.refused("after the theft", "invalid_grant", err)
	status, _ = c.use(oauth2.StaticTokenSource(fresh))
	c.check("revoked token", status == http.StatusUnauthorized, status)
	c.done("revoked token", fmt.Sprint(status))
}

func main() {
	log.SetFlags(0)
	secret := os.Getenv("SECRET")
	client{}.done("errors are", "RetrieveError.ErrorCode")
	for _, c := range []client{
		{"web, public", "web", "", oauth2.AuthStyleInParams},
		{"web, Basic without secret", "web", "", oauth2.AuthStyleInHeader},
		// the library tries Basic first, and then the body
		{"web, found out", "web", "", oauth2.AuthStyleAutoDetect},
		{"shop, client_secret_basic", "shop", secret, oauth2.AuthStyleInHeader},
		{"shop, client_secret_post", "shop", secret, oauth2.AuthStyleInParams},
		{"shop, found out", "shop", secret, oauth2.AuthStyleAutoDetect},
	} {
		c.run()
	}
}
