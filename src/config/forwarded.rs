//! Parser of the nodes in forwarding headers (RFC 7239 §6): the address from which a proxy received
//! a request.

use std::net::{IpAddr, Ipv6Addr};

/// Why `X-Forwarded-For` gave no address. Also the label of its metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForwardedFault {
    /// The word `unknown` (RFC 7239 §6.2).
    Unknown,
    /// An obfuscated identifier such as `_hidden` (RFC 7239 §6.3).
    Obfuscated,
    /// Any other text that is no node, an empty element included.
    Malformed,
    /// No `X-Forwarded-For`, although another forwarding header is there.
    OtherHeader,
    /// No forwarding header at all.
    Missing,
}

impl ForwardedFault {
    /// A stable word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Obfuscated => "obfuscated",
            Self::Malformed => "malformed",
            Self::OtherHeader => "other-header",
            Self::Missing => "missing",
        }
    }

    /// A sentence for the operator.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Unknown => "a trusted proxy sent `unknown` in X-Forwarded-For",
            Self::Obfuscated => "a trusted proxy hid the client's address in X-Forwarded-For",
            Self::Malformed => "a trusted proxy sent an X-Forwarded-For without an address",
            Self::OtherHeader => {
                "a trusted proxy sent Forwarded or X-Real-IP; only X-Forwarded-For is read"
            }
            Self::Missing => "a request came from a trusted proxy without X-Forwarded-For",
        }
    }
}

/// Parses `node [ ":" node-port ]`, quoted or not, with blanks around it. Proxies write these
/// forms: `203.0.113.9`, `203.0.113.9:1111`, `[2001:db8::9]:4711`, `2001:db8::9`. The port says
/// nothing about the client, and may be obfuscated. An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2)
/// is the IPv4 address.
pub(super) fn address(element: &str) -> Result<IpAddr, ForwardedFault> {
    let node = unquoted(element.trim_matches([' ', '\t'])).ok_or(ForwardedFault::Malformed)?;
    if let Ok(address) = node.parse::<IpAddr>() {
        return Ok(address.to_canonical());
    }
    let (name, port) = split(&node);
    if port.is_some_and(|port| !is_port(port)) {
        return Err(ForwardedFault::Malformed);
    }
    let in_brackets = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let parsed = match in_brackets {
        Some(v6) => v6.parse::<Ipv6Addr>().map(IpAddr::V6),
        // without brackets, `split` would have taken a colon of an IPv6 address for that of a port
        None => name.parse::<std::net::Ipv4Addr>().map(IpAddr::V4),
    };
    parsed.map(|address| address.to_canonical()).map_err(|_| match name {
        _ if name.eq_ignore_ascii_case("unknown") => ForwardedFault::Unknown,
        _ if is_obfuscated(name) => ForwardedFault::Obfuscated,
        _ => ForwardedFault::Malformed,
    })
}

/// The text of a quoted string (RFC 9110 §5.6.4), or an unquoted token unchanged.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let mut characters = rest.strip_suffix('"')?.chars();
    let mut plain = String::new();
    while let Some(c) = characters.next() {
        match c {
            '\\' => plain.push(characters.next()?),
            '"' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// The name, and the port if there is one.
fn split(node: &str) -> (&str, Option<&str>) {
    let name_ends = node.find(']').map_or(0, |bracket| bracket + 1);
    match node[name_ends..].find(':') {
        Some(colon) => (&node[..name_ends + colon], Some(&node[name_ends + colon + 1..])),
        None => (node, None),
    }
}

/// Whether the text is a port: 1 to 5 digits, or an obfuscated one.
fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) || is_obfuscated(text)
}

fn is_obfuscated(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r20_f2_every_form_of_a_node_is_parsed() {
        for (element, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            (" \t203.0.113.9 ", "203.0.113.9"),
            ("203.0.113.9:1111", "203.0.113.9"),
            ("203.0.113.9:1", "203.0.113.9"),
            ("203.0.113.9:_gazonk", "203.0.113.9"),
            ("\"203.0.113.9\"", "203.0.113.9"),
            ("\"203.0.113.9:47011\"", "203.0.113.9"),
            ("\"203\\.0.113.9\"", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("2001:DB8:0:0::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
            ("\"[2001:db8::9]\"", "2001:db8::9"),
            ("\"[2001:db8::9]:4711\"", "2001:db8::9"),
            ("\"[2001:db8::9]:_x.y-z\"", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
            ("[::ffff:cb00:7109]:80", "203.0.113.9"),
        ] {
            assert_eq!(address(element).unwrap().to_string(), expected, "{element}");
        }
    }

    #[test]
    fn f2_invalid_element_has_a_fault_kind() {
        use ForwardedFault as F;

        for (element, fault) in [
            ("unknown", F::Unknown),
            ("Unknown", F::Unknown),
            ("\"unknown\"", F::Unknown),
            ("unknown:4711", F::Unknown),
            ("_hidden", F::Obfuscated),
            ("\"_SEVKISEK\"", F::Obfuscated),
            ("_hidden:_port", F::Obfuscated),
            ("", F::Malformed),
            (" ", F::Malformed),
            ("_", F::Malformed),
            ("_é", F::Malformed),
            ("\"203.0.113.9", F::Malformed),
            ("203.0.113.9\"", F::Malformed),
            ("203.0.113.9:", F::Malformed),
            ("203.0.113.9:123456", F::Malformed),
            ("203.0.113.9:80:80", F::Malformed),
            ("203.0.113.9:_", F::Malformed),
            ("203.0.113.256", F::Malformed),
            ("[203.0.113.9]", F::Malformed),
            ("[2001:db8::9", F::Malformed),
            ("2001:db8::9]", F::Malformed),
            ("[2001:db8::9]x", F::Malformed),
            ("[2001:db8::9]]:1", F::Malformed),
            ("[fe80::1%eth0]", F::Malformed),
            ("unix:", F::Malformed),
            ("client.example", F::Malformed),
            ("for=203.0.113.9", F::Malformed),
            ("203.0.113.9\u{a0}", F::Malformed),
        ] {
            assert_eq!(address(element), Err(fault), "{element:?}");
        }
    }
}
