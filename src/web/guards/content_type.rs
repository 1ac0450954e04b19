//! Checks the `Content-Type` and `Content-Encoding` of a request (RFC 9110 §8.3, §8.4).

use rocket::Request;

/// The content type that a route accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyType {
    Json,
    Form,
}

impl BodyType {
    /// The media type, as in `Content-Type` and `Accept`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// Why the headers of a body are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentFault {
    /// The content type is missing, different, repeated or malformed.
    Type(BodyType),
    /// The character set is not UTF-8.
    Charset(BodyType),
    /// The body has a content coding, such as gzip.
    Coding,
}

impl ContentFault {
    /// A sentence that says which body the client should send.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Type(BodyType::Json) => "The body has to be application/json, in UTF-8.",
            Self::Type(BodyType::Form) => {
                "The body has to be application/x-www-form-urlencoded, in UTF-8."
            }
            Self::Charset(BodyType::Json) => {
                "The body has to be application/json in UTF-8: no other charset is taken."
            }
            Self::Charset(BodyType::Form) => {
                "The body has to be application/x-www-form-urlencoded in UTF-8: no other charset is \
                 taken."
            }
            Self::Coding => {
                "The body has a Content-Encoding: it has to be sent as it is, without compression."
            }
        }
    }

    /// The header that names the accepted type or coding for programs (RFC 9110 §15.5.16).
    pub const fn header(self) -> (&'static str, &'static str) {
        match self {
            Self::Type(taken) | Self::Charset(taken) => ("Accept", taken.as_str()),
            Self::Coding => ("Accept-Encoding", "identity"),
        }
    }
}

/// Checks that the body has the type `taken`, is in UTF-8, and has no content coding.
pub fn check(request: &Request<'_>, taken: BodyType) -> Result<(), ContentFault> {
    let headers = request.headers();
    check_coding(headers.get("Content-Encoding"))?;
    check_type(headers.get("Content-Type"), taken)
}

/// Accepts `identity` only. Several headers form one list (RFC 9110 §5.3).
fn check_coding<'h>(mut headers: impl Iterator<Item = &'h str>) -> Result<(), ContentFault> {
    let is_identity = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    let is_plain = headers.all(|header| header.split(',').map(trim).all(is_identity));
    if is_plain { Ok(()) } else { Err(ContentFault::Coding) }
}

fn check_type<'h>(
    mut headers: impl Iterator<Item = &'h str>,
    taken: BodyType,
) -> Result<(), ContentFault> {
    let only = headers.next().filter(|_| headers.next().is_none());
    let (kind, charset) = only.and_then(media_type).ok_or(ContentFault::Type(taken))?;
    if !kind.eq_ignore_ascii_case(taken.as_str()) {
        return Err(ContentFault::Type(taken));
    }
    // ASCII is a subset of UTF-8; many programs write `utf8`
    let is_taken = |charset: &String| {
        ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    };
    if charset.iter().all(is_taken) { Ok(()) } else { Err(ContentFault::Charset(taken)) }
}

/// Parses the media type and its `charset` parameters (RFC 9110 §8.3.1, §5.6.6). Blanks around `;`
/// and empty parameters are legal, blanks around `=` are not. `None` if the text is malformed.
fn media_type(text: &str) -> Option<(&str, Vec<String>)> {
    let (kind, mut rest) = match text.find(';') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let kind = trim(kind);
    let (top, sub) = kind.split_once('/')?;
    if !is_token(top) || !is_token(sub) {
        return None;
    }
    let mut charsets = Vec::new();
    loop {
        rest = trim(rest);
        if rest.is_empty() {
            return Some((kind, charsets));
        }
        rest = trim(rest.strip_prefix(';')?);
        if rest.is_empty() || rest.starts_with(';') {
            continue;
        }
        let (name, behind) = rest.split_once('=')?;
        let (value, behind) = value(behind)?;
        if !is_token(name) {
            return None;
        }
        if name.eq_ignore_ascii_case("charset") {
            charsets.push(value);
        }
        rest = behind;
    }
}

/// Parses a token or a quoted string, and returns the rest of the text.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (token, behind) = text.split_at(end);
        return is_token(token).then(|| (token.to_owned(), behind));
    };
    let mut plain = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((plain, &quoted[at + 1..])),
            '\\' => plain.push(characters.next()?.1),
            other => plain.push(other),
        }
    }
    None
}

/// Whether the text is a token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_tchar)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(headers: &[&str]) -> Result<(), ContentFault> {
        check_type(headers.iter().copied(), BodyType::Json)
    }

    #[test]
    fn r3_f17_every_legal_spelling_of_a_content_type_is_accepted() {
        for header in [
            "application/json",
            " application/json\t",
            "Application/JSON",
            "application/json;",
            "application/json ;",
            "application/json; ",
            "application/json;;",
            "application/json; ;charset=utf-8;",
            "application/json;charset=utf-8",
            "application/json ; charset=utf-8",
            "application/json\t;\tcharset=UTF-8",
            "APPLICATION/JSON;charset=\"utf-8\"",
            "application/json; charset=\"u\\tf-8\"",
            "application/json; charset=utf8",
            "application/json; charset=US-ASCII",
            "application/json; Charset=utf-8; charset=utf-8",
            "application/json; profile=\"a;b=\\\"c\"; charset=utf-8",
            "application/json; odata=verbose",
        ] {
            assert_eq!(judged(&[header]), Ok(()), "{header}");
        }
        let form = "application/x-www-form-urlencoded ; charset=UTF-8";
        assert_eq!(check_type([form].into_iter(), BodyType::Form), Ok(()));
    }

    #[test]
    fn r3_f17_wrong_content_type_and_wrong_charset_are_separate_faults() {
        let (kind, charset) =
            (ContentFault::Type(BodyType::Json), ContentFault::Charset(BodyType::Json));
        for (headers, fault) in [
            (&[][..], kind),
            (&[""], kind),
            (&["json"], kind),
            (&["application/"], kind),
            (&["/json"], kind),
            (&["application /json"], kind),
            (&["text/json"], kind),
            (&["application/json5"], kind),
            (&["application/problem+json"], kind),
            (&["application/json, application/json"], kind),
            (&["application/json", "application/json"], kind),
            (&["application/json charset=utf-8"], kind),
            (&["application/json; charset"], kind),
            (&["application/json; charset="], kind),
            (&["application/json; charset =utf-8"], kind),
            (&["application/json; charset= utf-8"], kind),
            (&["application/json; charset=\"utf-8"], kind),
            (&["application/json; charset=\"utf-8\"x"], kind),
            (&["application/json; =utf-8"], kind),
            (&["application/x-www-form-urlencoded"], kind),
            (&["application/json; charset=iso-8859-1"], charset),
            (&["application/json; charset=utf-16"], charset),
            (&["application/json; charset=utf-8; charset=latin1"], charset),
            (&["application/json; charset=\"\""], charset),
        ] {
            assert_eq!(judged(headers), Err(fault), "{headers:?}");
        }
    }

    #[test]
    fn f17_any_content_coding_but_identity_is_refused() {
        for headers in [&[][..], &["identity"], &["Identity"], &[""], &["identity, identity"]] {
            assert_eq!(check_coding(headers.iter().copied()), Ok(()), "{headers:?}");
        }
        for headers in
            [&["gzip"][..], &["GZIP"], &["br"], &["identity, gzip"], &["identity", "zstd"], &["x"]]
        {
            let judged = check_coding(headers.iter().copied());
            assert_eq!(judged, Err(ContentFault::Coding), "{headers:?}");
        }
    }
}
