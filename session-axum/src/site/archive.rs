//! One file out of a ZIP archive, as much of that format as the archive of the reference needs.

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// The largest file that is unpacked.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

const DIRECTORY_END: &[u8] = b"PK\x05\x06";
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
const FILE_HEADER: &[u8] = b"PK\x03\x04";

const STORED: usize = 0;
const DEFLATED: usize = 8;

/// The file of this name in the folder `dist`; `None` where there is none that can be read.
pub(super) fn unpack(archive: &[u8], name: &str) -> Option<Vec<u8>> {
    let wanted = format!("/dist/{name}");
    let end = archive
        .windows(DIRECTORY_END.len())
        .rposition(|window| window == DIRECTORY_END)?;
    let end = archive.get(end..)?;
    let entries = number(end, 10, 2)?;
    let mut rest = archive.get(number(end, 16, 4)?..)?;
    for _ in 0..entries {
        rest.starts_with(DIRECTORY_ENTRY).then_some(())?;
        let name_end = 46 + number(rest, 28, 2)?;
        let path = rest.get(46..name_end)?;
        if path.ends_with(wanted.as_bytes()) {
            let packed = archive.get(number(rest, 42, 4)?..)?;
            let packed = data(packed, number(rest, 20, 4)?)?;
            return match number(rest, 10, 2)? {
                STORED => Some(packed.to_vec()),
                DEFLATED => decompress_to_vec_with_limit(packed, FILE_BYTES_MAX).ok(),
                _ => None,
            };
        }
        let after = name_end + number(rest, 30, 2)? + number(rest, 32, 2)?;
        rest = rest.get(after..)?;
    }
    None
}

/// What follows a file's own header.
fn data(file: &[u8], length: usize) -> Option<&[u8]> {
    file.starts_with(FILE_HEADER).then_some(())?;
    let start = 30 + number(file, 26, 2)? + number(file, 28, 2)?;
    file.get(start..)?.get(..length)
}

/// A number of two or four bytes, the lowest first.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.get(..width)?;
    let sum = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
    Some(bytes.iter().rev().fold(0, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHIVE: &[u8] = utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

    #[test]
    fn a_file_is_found_by_its_name_in_the_folder_alone() {
        let script = unpack(ARCHIVE, "swagger-initializer.js").unwrap();
        let script = String::from_utf8(script).unwrap();
        assert!(script.trim_end().ends_with("};"), "{script}");
        assert_eq!(unpack(ARCHIVE, "no-such-file.js"), None);
    }

    #[test]
    fn what_is_no_archive_has_no_files() {
        let half = &ARCHIVE[..ARCHIVE.len() / 2];
        for bytes in [&[][..], DIRECTORY_END, &ARCHIVE[1000..], half] {
            assert!(unpack(bytes, "swagger-ui.css").is_none(), "{}", bytes.len());
        }
    }
}
