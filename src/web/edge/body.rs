//! Reading a body, and no more of it than there may be.

use std::time::Duration;

use rocket::Request;
use rocket::data::{Data, ToByteUnit};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// The longest body read, in bytes: 32 KiB.
pub const MAX_BODY: u64 = 32 * 1_024;

/// How long a body may take that has begun to arrive: whoever drips holds a place that others want.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a body was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyError {
    TooLarge,
    /// The client stopped sending, or took too long.
    Broken,
}

/// The whole body, wiped when dropped: there are passwords in it. A body that says how long it is
/// is refused unread if that is too long (R9).
pub async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let said = request.headers().get_one("Content-Length").and_then(|text| text.parse().ok());
    let said: u64 = said.unwrap_or(0);
    if said > MAX_BODY {
        return Err(BodyError::TooLarge);
    }
    // one byte over the limit tells a body that is too long from one that fits
    let mut stream = data.open((MAX_BODY + 1).bytes());
    let mut body = Zeroizing::new(Vec::with_capacity(usize::try_from(said).unwrap_or(0)));
    let read = timeout(PATIENCE, stream.read_to_end(&mut body)).await;
    read.map_err(|_| BodyError::Broken)?.map_err(|_| BodyError::Broken)?;
    if body.len() as u64 > MAX_BODY {
        return Err(BodyError::TooLarge);
    }
    Ok(body)
}
