//! `vestibule health`: readiness check for container engines, whose images contain no other HTTP
//! client.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use figment::Figment;

use super::common::port;
use super::{CommandError, print_text};

const TIMEOUT: Duration = Duration::from_secs(3);

pub fn run(figment: &Figment) -> Result<(), CommandError> {
    let address: IpAddr =
        figment.extract_inner("address").unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let has_tls = figment.find_value("tls").is_ok_and(|tls| tls.as_dict().is_some());
    let mut problems = Vec::new();
    for address in reachable_at(address) {
        let target = SocketAddr::new(address, port(figment));
        let stream = match TcpStream::connect_timeout(&target, TIMEOUT) {
            Ok(stream) => stream,
            Err(error) => {
                problems.push(format!("{target}: {error}"));
                continue;
            }
        };
        if has_tls {
            // the program has no TLS client, so it can only report that the service listens
            return print_text("listening");
        }
        let response = get_readiness(stream);
        let response =
            response.map_err(|error| CommandError::Failed(format!("{target}: {error}")))?;
        return match response.split(' ').nth(1) {
            Some("200") => print_text("ready"),
            _ => Err(CommandError::Failed(format!("{target} is not ready"))),
        };
    }
    Err(CommandError::Failed(problems.join("; ")))
}

/// Addresses at which this machine reaches a service that listens at `address`. A service at `::`
/// may accept IPv6 only (net.ipv6.bindv6only), and the machine may have no `::1`.
fn reachable_at(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    let candidates = match address {
        IpAddr::V4(address) if address.is_unspecified() => [Some(IPV4), None],
        IpAddr::V6(address) if address.is_unspecified() => [Some(IPV6), Some(IPV4)],
        address => [Some(address), None],
    };
    candidates.into_iter().flatten()
}

fn get_readiness(mut stream: TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream
        .write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}
