//! Reads a request's body, up to a maximum length and within a time limit.

use rocket::Request;
use rocket::data::{Data, ToByteUnit};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::Settings;

/// The maximum length of a body, in bytes: 32 KiB.
pub const MAX_BODY: u64 = 32 * 1_024;

/// Why a body was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyError {
    TooLarge,
    /// The body was not complete in time. A client that sends slowly holds a place that others
    /// want.
    Late,
    /// The client hung up.
    Broken,
}

/// Reads the whole body. The buffer is wiped when dropped, because bodies contain passwords.
///
/// - If `Content-Length` exceeds [`MAX_BODY`], the body is refused unread (R9).
/// - If the body is not complete after `admission.body_timeout`, reading stops.
pub async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let said = request.headers().get_one("Content-Length").and_then(|text| text.parse().ok());
    let said: u64 = said.unwrap_or(0);
    if said > MAX_BODY {
        return Err(BodyError::TooLarge);
    }
    // one byte more than the limit tells a body that is too long from a body that fits
    let mut stream = data.open((MAX_BODY + 1).bytes());
    let mut body = Zeroizing::new(Vec::with_capacity(usize::try_from(said).unwrap_or(0)));
    let settings = request.rocket().state::<Settings>().ok_or(BodyError::Broken)?;
    let patience = settings.admission.body_timeout.duration();
    let read = timeout(patience, stream.read_to_end(&mut body)).await;
    read.map_err(|_| BodyError::Late)?.map_err(|_| BodyError::Broken)?;
    if body.len() as u64 > MAX_BODY {
        return Err(BodyError::TooLarge);
    }
    Ok(body)
}
