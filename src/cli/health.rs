//! `vestibule health`: for container engines, which have no other client at hand.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use figment::Figment;

use super::{CommandError, port, say};

const TIMEOUT: Duration = Duration::from_secs(3);

pub fn run(figment: &Figment) -> Result<(), CommandError> {
    let address: IpAddr =
        figment.extract_inner("address").unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = if address.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address };
    let target = SocketAddr::new(address, port(figment));
    if figment.find_value("tls").is_ok_and(|tls| tls.as_dict().is_some()) {
        // without a TLS client here, that it listens is all that can be said
        let connected = TcpStream::connect_timeout(&target, TIMEOUT);
        connected.map_err(|error| CommandError::Failed(format!("{target}: {error}")))?;
        say("listening");
        return Ok(());
    }
    let answer = ask(target).map_err(|error| CommandError::Failed(format!("{target}: {error}")))?;
    match answer.split(' ').nth(1) {
        Some("200") => {
            say("ready");
            Ok(())
        }
        _ => Err(CommandError::Failed(format!("{target} is not ready"))),
    }
}

fn ask(target: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&target, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream
        .write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
