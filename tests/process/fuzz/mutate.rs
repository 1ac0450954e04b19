//! Mutations of a valid request before it is sent.

use serde_json::json;

use crate::fuzz::calls::Call;
use crate::seeded_random::SeededRandom;

/// Bytes with a meaning to some parser.
const BYTES: &[u8] = b"%&=+:;,? \0\t\r\n\"'\\{}[]()<>/.-_@#\x7f\x80\xc0\xc3\xe2\xed\xf5\xff0A";

/// Replacements for a value in a form or in a path.
const PIECES: [&str; 30] = [
    "",
    "%",
    "%0",
    "%zz",
    "%00",
    "%ff%fe",
    "%C3%28",
    "%ED%A0%80",
    "%c0%af",
    "%2e%2e%2f",
    "%0d%0aX:%20y",
    "%25%32%35",
    "..",
    ".",
    "//",
    "/",
    "\\",
    ";a=b",
    "*",
    "a:b@c",
    "[::1",
    "%F0%9F%92%A9",
    "%EF%BF%BE",
    "%E2%80%AE",
    "99999999999999999999999",
    "-1",
    "1e400",
    "null",
    "NaN",
    "+",
];

/// Replacements for a member of a JSON document.
const JSON: [&str; 26] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "0",
    "-0",
    "1e999",
    "-1e-999",
    "1E+",
    "01",
    "NaN",
    "99999999999999999999999999999999999999999999",
    "0.1e1000000000",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\x\"",
    "\"\u{202e}\u{feff}\"",
    "\"a@b@c\"",
    "\"@\"",
    "[\"a\",]",
    "{\"a\":{\"a\":1,\"a\":2}}",
    "\"\u{212a}@example.org\"",
    "\"x@\u{ff45}xample.org\"",
    "\"\u{1}\"",
];

const LENGTHS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "+5",
    "5, 5",
    "5, 6",
    "0x10",
    "1e3",
    "",
    "99999",
    "18446744073709551615",
    "99999999999999999999999999",
];

const LINES: [&str; 20] = [
    "",
    " ",
    "GET",
    "GET /",
    "GET / HTTP/0.9",
    "GET / HTTP/1.0",
    "GET / HTTP/2.0",
    "GET / HTTP/9.9",
    "GET  /  HTTP/1.1",
    "GET\t/\tHTTP/1.1",
    "get / HTTP/1.1",
    "GET * HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET http://other.example/v1/me HTTP/1.1",
    "CONNECT a:443 HTTP/1.1",
    "PRI * HTTP/2.0",
    "GET /\u{e9} HTTP/1.1",
    "GET ?a=b HTTP/1.1",
    "GET #a HTTP/1.1",
    "G\u{0}T / HTTP/1.1",
];

const METHODS: [&str; 14] = [
    "HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "POST", "GET", "PURGE",
    "PROPFIND", "M-SEARCH", "post", "\u{e9}",
];

const HEADERS: [&str; 36] = [
    "Content-Type: application/json",
    "Content-Type: application/x-www-form-urlencoded; charset=utf-7",
    "Content-Type: multipart/form-data; boundary=",
    "Content-Type: ;;;",
    "Content-Type:",
    "Host:",
    "Host: a b",
    "Host: [::1",
    "Expect: 100-continue",
    "Expect: 999",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Connection: upgrade, keep-alive, close",
    "Authorization: Bearer",
    "Authorization: Bearer a b",
    "Authorization: Basic",
    "Authorization: Basic Og==",
    "Authorization: Basic /////w==",
    "Authorization: \u{e9}",
    "Accept: */*;q=2, ,;",
    "Accept: text/html;q=0.5,application/json;q=NaN",
    "Accept-Language: de-\u{e9}, *;q=9, x-",
    "Accept-Encoding: \0",
    "Origin: null",
    "Origin: https://[",
    "Access-Control-Request-Method: \u{e9}",
    "Access-Control-Request-Headers: ,,,,",
    "Cookie: =; ;;a",
    "Cookie: __Host-vestibule-account=%ff",
    "X-Forwarded-For: 1.2.3, [::",
    "Forwarded: for=\"_\\\"",
    "X-Request-Id: \0",
    "If-None-Match: *",
    "Range: bytes=9-1",
    " folded",
    "no colon",
];

const CHUNKS: [&str; 12] = [
    "0",
    "-1",
    "ffffffffffffffff",
    "fffffffffffffffff",
    "1;a=\"b",
    "g",
    "",
    " 5",
    "5 ",
    "0x5",
    "5\n",
    "\0",
];

fn of<'a>(all: &[&'a str], rng: &mut SeededRandom) -> &'a str {
    all[rng.below(all.len())]
}

/// The request unchanged, or with one of many mutations.
pub fn mutated(mut call: Call, other: &Call, rng: &mut SeededRandom) -> Vec<u8> {
    // some requests get two mutations
    for _ in 0..=usize::from(rng.below(4) == 0) {
        match rng.below(12) {
            0..=3 => member(&mut call, rng),
            4 => target(&mut call, rng),
            5 => method(&mut call, rng),
            6 => headers(&mut call, rng),
            _ => {}
        }
    }
    let mut bytes = match rng.below(12) {
        0 => wrong_length(&call, rng),
        1 => chunked(&call, rng),
        2 => pipelined(&call, other, rng),
        3 => body(&call, rng),
        4 => {
            call.line = of(&LINES, rng).as_bytes().to_vec();
            call.bytes()
        }
        _ => call.bytes(),
    };
    if rng.below(4) == 0 {
        for _ in 0..=rng.below(6) {
            byte(&mut bytes, rng);
        }
    }
    if rng.below(16) == 0 {
        bytes.truncate(rng.below(bytes.len()));
    }
    bytes
}

/// Replaces, repeats or removes a member of the body.
fn member(call: &mut Call, rng: &mut SeededRandom) {
    if call.members.is_empty() {
        return;
    }
    let at = rng.below(call.members.len());
    match rng.below(8) {
        0 => call.members.push(call.members[at].clone()),
        1 => drop(call.members.remove(at)),
        2 => {
            let length = 1 << rng.below(18);
            let long = of(&["x", "\u{1f4a9}", "%41", "\u{301}", "."], rng).repeat(length);
            call.members[at].1 = if call.is_json { format!("\"{long}\"") } else { long };
        }
        3 => {
            let depth = 1 << rng.below(14);
            let (open, close) = if rng.below(2) == 0 { ("[", "]") } else { ("{\"a\":", "}") };
            let closed = if rng.below(4) == 0 { 0 } else { depth };
            call.members[at].1 = format!("{}1{}", open.repeat(depth), close.repeat(closed));
        }
        4 => call.members[at].0 = of(&PIECES, rng).to_owned(),
        _ => {
            call.members[at].1 = match (call.is_json, rng.below(2)) {
                (true, 0) => of(&JSON, rng).to_owned(),
                (true, _) => json!(of(&PIECES, rng)).to_string(),
                (false, _) => of(&PIECES, rng).to_owned(),
            };
        }
    }
}

/// Replaces a part of the path or the query.
fn target(call: &mut Call, rng: &mut SeededRandom) {
    let piece = of(&PIECES, rng);
    let piece =
        if rng.below(8) == 0 { piece.repeat(1 + rng.below(3_000)) } else { piece.to_owned() };
    let piece = match rng.below(4) {
        0 => format!("?token={piece}&token={piece}"),
        1 => format!("/{piece}"),
        2 => format!("?access_token={piece}&&=&{piece}"),
        _ => piece,
    };
    // before the version, or somewhere in the path
    let end = call.line.len().saturating_sub(" HTTP/1.1".len());
    let start = call.line.iter().position(|byte| *byte == b'/').unwrap_or(end).min(end);
    let at = if rng.below(2) == 0 { end } else { start + rng.below(end - start + 1) };
    call.line.splice(at..at, piece.into_bytes());
}

fn method(call: &mut Call, rng: &mut SeededRandom) {
    let end = call.line.iter().position(|byte| *byte == b' ').unwrap_or(0);
    call.line.splice(..end, of(&METHODS, rng).bytes());
}

/// Adds another header, a repeated one, a great many, or a very long one.
fn headers(call: &mut Call, rng: &mut SeededRandom) {
    let at = rng.below(call.headers.len());
    match rng.below(6) {
        0 => call.headers.push(call.headers[at].clone()),
        1 => drop(call.headers.remove(at)),
        2 => {
            let many = 1 << rng.below(11);
            call.headers.extend((0..many).map(|n| format!("X-{n}: {n}").into_bytes()));
        }
        3 => {
            let long = "x".repeat(1 << rng.below(20));
            call.headers.push(
                format!("{}{long}", of(&["Cookie: ", "Authorization: Bearer ", "X-"], rng))
                    .into_bytes(),
            );
        }
        _ => call.headers.push(of(&HEADERS, rng).as_bytes().to_vec()),
    }
}

fn wrong_length(call: &Call, rng: &mut SeededRandom) -> Vec<u8> {
    let (mut call, body) = (call.clone(), call.body());
    let near = (body.len() + rng.below(4)).saturating_sub(2).to_string();
    for _ in 0..=usize::from(rng.below(3) == 0) {
        let length = if rng.below(2) == 0 { &near } else { of(&LENGTHS, rng) };
        call.headers.push(format!("Content-Length: {length}").into_bytes());
    }
    if rng.below(4) == 0 {
        call.headers.push(b"Transfer-Encoding: chunked".to_vec());
    }
    call.with_body(&body)
}

fn chunked(call: &Call, rng: &mut SeededRandom) -> Vec<u8> {
    let mut call = call.clone();
    let coding = of(
        &[
            "chunked",
            "chunked",
            "Chunked",
            "gzip, chunked",
            "chunked, chunked",
            "identity",
            "\u{b}chunked",
        ],
        rng,
    );
    call.headers.push(format!("Transfer-Encoding: {coding}").into_bytes());
    let mut body = Vec::new();
    for chunk in call.body().chunks(1 + rng.below(40)) {
        let size = format!("{:x}", chunk.len());
        let size = if rng.below(12) == 0 { of(&CHUNKS, rng) } else { &size };
        body.extend_from_slice(format!("{size}\r\n").as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(
        of(&["0\r\n\r\n", "0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\r\n\0\r\n\r\n", ""], rng).as_bytes(),
    );
    call.with_body(&body)
}

/// Sends the request several times on one connection, and then another, which closes it.
fn pipelined(call: &Call, other: &Call, rng: &mut SeededRandom) -> Vec<u8> {
    let mut first = call.clone();
    first.headers.retain(|header| !header.starts_with(b"Connection"));
    let mut bytes = first.bytes().repeat(1 + rng.below(4));
    bytes.extend(other.bytes());
    bytes
}

/// Replaces the body: random bytes, deep nesting, a long text, or the same members in the other
/// encoding.
fn body(call: &Call, rng: &mut SeededRandom) -> Vec<u8> {
    let mut call = call.clone();
    let body = match rng.below(4) {
        0 => (0..rng.below(400)).map(|_| rng.next().to_le_bytes()[0]).collect(),
        1 => "[".repeat(1 << rng.below(15)).into_bytes(),
        2 => vec![b'x'; 1 << rng.below(18)],
        _ => {
            call.is_json = !call.is_json;
            call.body()
        }
    };
    call.headers.push(format!("Content-Length: {}", body.len()).into_bytes());
    call.with_body(&body)
}

/// Replaces, removes or repeats a byte or a piece.
fn byte(bytes: &mut Vec<u8>, rng: &mut SeededRandom) {
    let at = rng.below(bytes.len());
    let meant = BYTES[rng.below(BYTES.len())];
    match rng.below(6) {
        _ if bytes.is_empty() => bytes.push(meant),
        0 => bytes[at] = meant,
        1 => bytes[at] ^= 1 << rng.below(8),
        2 => bytes.insert(at, meant),
        3 => drop(bytes.remove(at)),
        4 => {
            let end = (at + rng.below(60)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => drop(bytes.drain(at..(at + rng.below(60)).min(bytes.len()))),
    }
}
