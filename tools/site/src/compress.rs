//! Compresses a file once, as hard as can be, so that the server never has to.

use std::io::Write as _;

use anyhow::Result;

/// The compressed forms of one file; a form that saves nothing is left out.
pub(crate) struct Compressed {
    pub(crate) brotli: Option<Vec<u8>>,
    pub(crate) gzip: Option<Vec<u8>>,
}

/// Compresses `bytes` with brotli and with gzip.
///
/// # Errors
/// Only if a compressor fails, which it does not on memory.
pub(crate) fn compress(bytes: &[u8]) -> Result<Compressed> {
    let worth_it = |compressed: Vec<u8>| (compressed.len() < bytes.len()).then_some(compressed);
    Ok(Compressed { brotli: worth_it(brotli(bytes)?), gzip: worth_it(gzip(bytes)?) })
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    // Blocks of 64 KiB and not of 256: for WebAssembly of 600 KiB a thousandth less, when measured.
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, lgblock: 16, size_hint: bytes.len(), ..Default::default() };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut compressed, &parameters)?;
    Ok(compressed)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // No name and no time go into the header, so equal input gives equal output.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn both_forms_unpack_to_the_original() {
        let original = b"one key, two keys, three keys, four keys ".repeat(200);
        let compressed = compress(&original).unwrap();

        let mut unpacked = Vec::new();
        brotli::BrotliDecompress(&mut compressed.brotli.unwrap().as_slice(), &mut unpacked).unwrap();
        assert_eq!(unpacked, original);

        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(compressed.gzip.unwrap().as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, original);
    }

    #[test]
    fn a_form_that_saves_nothing_is_left_out() {
        let compressed = compress(b"ab").unwrap();
        assert!(compressed.brotli.is_none());
        assert!(compressed.gzip.is_none());
    }
}
