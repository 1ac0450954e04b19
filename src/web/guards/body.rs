//! Reading a body, and no more of it than there may be.

use rocket::Request;
use rocket::data::{Data, ToByteUnit};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::Settings;

/// The longest body read, in bytes: 32 KiB.
pub const MAX_BODY: u64 = 32 * 1_024;

/// Why a body was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyError {
    TooLarge,
    /// Not all of it was there in time: a client that sends slowly holds a place that others want.
    Late,
    /// The client hung up.
    Broken,
}

/// The whole body, wiped when dropped: there are passwords in it. A body that says how long it is
/// is refused unread if that is too long (R9); one that is not whole after `admission.body_timeout` is
/// given up.
pub async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let said = request.headers().get_one("Content-Length").and_then(|text| text.parse().ok());
    let said: u64 = said.unwrap_or(0);
    if said > MAX_BODY {
        return Err(BodyError::TooLarge);
    }
    // one byte over the limit tells a body that is too long from one that fits
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
