//! Minimal HTTP/1.1 client over plain sockets, with keep-alive.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Parsed part of a response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub says_when: bool,
    /// The server closes the connection.
    pub closes: bool,
    pub body: Vec<u8>,
}

/// Parses the response at the start of `bytes`; `None` until it is complete.
fn parse(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    let value = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
    };
    let length = value("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let body = bytes.get(end + 4..end + 4 + length);
    let says_when = value("retry-after").is_some();
    let closes = value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(body.map(|body| Answer { status, says_when, closes, body: body.to_vec() }))
}

/// Sends one request and waits for its response.
pub fn ask(stream: &mut TcpStream, request: &[u8]) -> io::Result<Answer> {
    stream.write_all(request)?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        if let Some(answer) = parse(&bytes)? {
            return Ok(answer);
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

/// As [`ask`], asynchronously beside other requests.
pub async fn ask_async(
    stream: &mut rocket::tokio::net::TcpStream,
    request: &[u8],
) -> io::Result<Answer> {
    stream.write_all(request).await?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 2_048]);
    loop {
        if let Some(answer) = parse(&bytes)? {
            return Ok(answer);
        }
        match stream.read(&mut chunk).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub fn post(path: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
