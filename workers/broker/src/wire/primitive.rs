//! Integers, strings and lengths, read from a cursor that ends instead of panicking.

use bytes::{BufMut, BytesMut};

use super::WireError;

/// Longest "remaining length" and property length: four groups of seven bits.
pub(crate) const MAX_VARINT: usize = 268_435_455;

const SHORT: WireError = WireError::Malformed("a field ends beyond the packet");

/// A view of one packet's body that only moves forward.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that was not read yet.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        let (head, tail) = self.0.split_first().ok_or(SHORT)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        let (head, tail) = self.0.split_first_chunk::<2>().ok_or(SHORT)?;
        self.0 = tail;
        Ok(u16::from_be_bytes(*head))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        let (head, tail) = self.0.split_first_chunk::<4>().ok_or(SHORT)?;
        self.0 = tail;
        Ok(u32::from_be_bytes(*head))
    }

    pub(crate) fn varint(&mut self) -> Result<usize, WireError> {
        match varint(self.0)? {
            Some((value, used)) => {
                self.0 = &self.0[used..];
                Ok(value)
            }
            None => Err(SHORT),
        }
    }

    /// Bytes behind a two-byte length.
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// UTF-8 behind a two-byte length; U+0000 is forbidden by the standard.
    pub(crate) fn text(&mut self) -> Result<&'a str, WireError> {
        let bytes = self.binary()?;
        let text = std::str::from_utf8(bytes).map_err(|_| WireError::Malformed("a string is not UTF-8"))?;
        if bytes.contains(&0) {
            return Err(WireError::Malformed("a string holds U+0000"));
        }
        Ok(text)
    }

    /// A packet identifier, which is never 0.
    pub(crate) fn packet_id(&mut self) -> Result<u16, WireError> {
        match self.u16()? {
            0 => Err(WireError::Malformed("packet identifier 0")),
            id => Ok(id),
        }
    }
}

/// Reads a variable length integer from the front: value and bytes used, or `None` when more bytes are needed.
pub(crate) fn varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, WireError> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(WireError::Malformed("a length of more than four bytes")) }
}

pub(crate) fn varint_len(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Writes `value`, which must be at most [`MAX_VARINT`].
pub(crate) fn put_varint(out: &mut BytesMut, mut value: usize) {
    debug_assert!(value <= MAX_VARINT, "frame limits keep lengths below the format's own");
    loop {
        let group = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.put_u8(group);
            return;
        }
        out.put_u8(group | 0x80);
    }
}

/// Writes `bytes` behind a two-byte length, cut at the length's own limit.
pub(crate) fn put_binary(out: &mut BytesMut, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(len);
    out.put_slice(&bytes[..usize::from(len)]);
}
