//! Opening a data file: decompression, and what its first bytes tell.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::options::{Format, ReadOptions};
use super::text::excerpt;
use super::{Place, ReadError};

/// Bytes at the start of a file from which its format is told.
const HEAD_BYTES: usize = 64 * 1024;
/// Lines that the head of a table holds, if they fit in [`MOST_HEAD_BYTES`].
const HEAD_LINES: usize = 50;
const MOST_HEAD_BYTES: usize = 32 * 1024 * 1024;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// What can be read, for messages.
const READABLE: &str = "a table (CSV, TSV), a .ts or .arff file, an .npy array or an .npz archive, any of them gzipped";

/// A file whose format is known, at its first byte.
pub(crate) struct Opened<'a> {
    pub(crate) file: PathBuf,
    pub(crate) format: Format,
    /// Whether it is compressed, which the reader undoes.
    pub(crate) gzipped: bool,
    /// The start of the contents.
    pub(crate) head: Vec<u8>,
    /// Whether the head is all there is.
    pub(crate) head_is_all: bool,
    /// All contents, the head included.
    pub(crate) reader: Box<dyn BufRead + Send + 'a>,
}

/// Opens a file.
pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Opened<'static>, ReadError> {
    let file = File::open(path).map_err(ReadError::io(path))?;
    of_reader(BufReader::with_capacity(BUFFER_BYTES, file), path, options)
}

/// Takes bytes from anywhere; `file` stands for them in messages.
pub(crate) fn of_reader<'a>(
    reader: impl BufRead + Send + 'a,
    file: &Path,
    options: &ReadOptions,
) -> Result<Opened<'a>, ReadError> {
    let mut reader: Box<dyn BufRead + Send + 'a> = Box::new(reader);
    let gzipped = reader
        .fill_buf()
        .map_err(ReadError::io(file))?
        .starts_with(b"\x1f\x8b");
    if gzipped {
        let plain = MultiGzDecoder::new(reader);
        reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, plain));
    }
    let (head, head_is_all) = read_head(&mut reader).map_err(ReadError::io(file))?;
    let format = match options.format {
        Some(format) => format,
        None => recognize(&head).map_err(|foreign| foreign.error(file))?,
    };
    if head.iter().all(u8::is_ascii_whitespace) && head_is_all {
        return Err(Place::file(file).found("an empty file", "a row for each sample"));
    }
    let all = Cursor::new(head.clone()).chain(reader);
    Ok(Opened {
        file: file.to_owned(),
        format,
        gzipped,
        head,
        head_is_all,
        reader: Box::new(BufReader::with_capacity(BUFFER_BYTES, all)),
    })
}

/// The first bytes, and whether there are no others.
fn read_head(reader: &mut impl BufRead) -> std::io::Result<(Vec<u8>, bool)> {
    let mut head = Vec::new();
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok((head, true));
        }
        let taken = chunk.len();
        head.extend_from_slice(chunk);
        reader.consume(taken);
        let breaks = || {
            memchr::memchr2_iter(b'\n', b'\r', &head)
                .take(HEAD_LINES)
                .count()
        };
        let binary = || head[..HEAD_BYTES].contains(&0);
        let enough = head.len() >= HEAD_BYTES && (binary() || breaks() == HEAD_LINES);
        if enough || head.len() >= MOST_HEAD_BYTES {
            return Ok((head, false));
        }
    }
}

/// What is said of a Parquet file where it cannot be read.
#[cfg(not(feature = "parquet"))]
pub(crate) fn no_parquet(file: &Path) -> ReadError {
    let expected = "a build with the feature `parquet`, or its table saved as CSV";
    Foreign::new("a Parquet file", expected).error(file)
}

/// A file that is none of ours.
struct Foreign {
    found: String,
    expected: String,
}

impl Foreign {
    fn new(found: &str, expected: &str) -> Self {
        Self {
            found: found.to_owned(),
            expected: expected.to_owned(),
        }
    }

    fn error(self, file: &Path) -> ReadError {
        ReadError::Foreign {
            file: file.to_owned(),
            found: self.found,
            expected: self.expected,
        }
    }
}

/// First bytes of files of other kinds, their names, and what to do.
const SIGNATURES: &[(&[u8], &str, &str)] = &[
    (
        b"SQLite format 3\0",
        "a SQLite database",
        "a table exported from it as CSV",
    ),
    (b"\x89PNG", "a PNG picture", READABLE),
    (b"\xff\xd8\xff", "a JPEG picture", READABLE),
    (b"GIF8", "a GIF picture", READABLE),
    (b"%PDF", "a PDF document", READABLE),
    (
        b"\x89HDF\r\n",
        "an HDF5 file",
        "its arrays saved with `numpy.savez`",
    ),
    (
        b"MATLAB 5.0 MAT",
        "a MATLAB file",
        "its arrays saved with `numpy.savez`",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel workbook (.xls)",
        "its sheet saved as CSV",
    ),
    (
        b"BZh",
        "a bzip2 file",
        "it unpacked (`bunzip2`), or packed with gzip",
    ),
    (
        b"\xfd7zXZ\0",
        "an xz file",
        "it unpacked (`unxz`), or packed with gzip",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "a zstd file",
        "it unpacked (`unzstd`), or packed with gzip",
    ),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "it unpacked"),
    (
        b"\x1f\x8b",
        "a gzip file inside a gzip file",
        "it unpacked once (`gunzip`)",
    ),
    (
        b"ARROW1",
        "an Arrow or Feather file",
        "a table saved as CSV or Parquet",
    ),
    (
        b"Obj\x01",
        "an Avro file",
        "a table saved as CSV or Parquet",
    ),
    (b"ORC", "an ORC file", "a table saved as CSV or Parquet"),
    (
        b"RIFF",
        "a sound or a video (RIFF)",
        "its samples saved with `numpy.save`",
    ),
    (b"\xff\xfe", "a UTF-16 text", "it saved as UTF-8"),
    (b"\xfe\xff", "a UTF-16 text", "it saved as UTF-8"),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS",
        "the file itself (`git lfs pull`)",
    ),
];

/// The format of a file that begins with `head`.
fn recognize(head: &[u8]) -> Result<Format, Foreign> {
    if head.starts_with(b"\x93NUMPY") {
        return Ok(Format::Npy);
    }
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return recognize_zip(head);
    }
    for (signature, name, expected) in SIGNATURES {
        if head.starts_with(signature) {
            return Err(Foreign::new(name, expected));
        }
    }
    if head.starts_with(b"\x80") && head.get(1).is_some_and(|version| (2..=5).contains(version)) {
        let expected = "its arrays saved with `numpy.savez`, or its table as CSV";
        return Err(Foreign::new("a Python pickle", expected));
    }
    recognize_text(head)
}

/// What a zip archive holds, by the names of its members in the head.
fn recognize_zip(head: &[u8]) -> Result<Format, Foreign> {
    let names: Vec<&[u8]> = memchr::memmem::find_iter(head, b"PK\x03\x04")
        .filter_map(|at| {
            let size = head.get(at + 26..at + 28)?;
            let size = usize::from(u16::from_le_bytes([size[0], size[1]]));
            head.get(at + 30..at + 30 + size)
        })
        .collect();
    let any = |part: &[u8]| {
        names
            .iter()
            .any(|name| memchr::memmem::find(name, part).is_some())
    };
    if names.first().is_some_and(|name| name.ends_with(b".npy")) {
        Ok(Format::Npz)
    } else if any(b"xl/") || any(b"[Content_Types].xml") {
        Err(Foreign::new(
            "an Excel workbook (.xlsx)",
            "its sheet saved as CSV",
        ))
    } else if any(b"mimetype") {
        Err(Foreign::new(
            "an OpenDocument file",
            "its sheet saved as CSV",
        ))
    } else {
        Err(Foreign::new(
            "a zip archive",
            "it unpacked, or an .npz archive of arrays",
        ))
    }
}

/// What a text is, by its first line that is no comment.
fn recognize_text(head: &[u8]) -> Result<Format, Foreign> {
    let odd = |&&byte: &&u8| byte < 32 && !b"\t\n\r\x0c\x1a".contains(&byte);
    let start = &head[..head.len().min(HEAD_BYTES)];
    if start.iter().filter(odd).count() > start.len() / 100 || start.contains(&0) {
        let begins: Vec<String> = start
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let found = format!(
            "binary data of an unknown kind (it begins {})",
            begins.join(" ")
        );
        return Err(Foreign::new(&found, READABLE));
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let lines = text
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .map(<[u8]>::trim_ascii);
    let mut lines =
        lines.filter(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b"%"));
    let first = lines.next().unwrap_or_default();
    let lower = first.to_ascii_lowercase();
    if lower.starts_with(b"@relation") {
        return Ok(Format::Arff);
    }
    if first.starts_with(b"@") {
        return Ok(Format::Ts);
    }
    if first.starts_with(b"{") || (first.starts_with(b"[") && !lower.starts_with(b"[0]")) {
        let expected = "a table saved as CSV (`pandas.read_json(..).to_csv(..)`)";
        return Err(Foreign::new("JSON", expected));
    }
    if lower.starts_with(b"<!doctype") || lower.starts_with(b"<html") || lower.starts_with(b"<?xml")
    {
        let found = format!(
            "a web page or XML (`{}`)",
            excerpt(&super::text::decode(first))
        );
        return Err(Foreign::new(&found, "the data file itself"));
    }
    Ok(Format::Table)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn opened(bytes: &[u8]) -> Result<(Format, bool), String> {
        let options = ReadOptions::default();
        let opened = of_reader(Cursor::new(bytes.to_vec()), Path::new("x.csv"), &options);
        opened
            .map(|o| (o.format, o.gzipped))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn contents_tell_the_format_whatever_the_name() {
        let plain = |format| Ok((format, false));
        assert_eq!(opened(b"# c\n@problemName x\n@data\n"), plain(Format::Ts));
        assert_eq!(opened(b"% c\n\n@RELATION x\n@data\n"), plain(Format::Arff));
        assert_eq!(opened(b"\x93NUMPY\x01\x00"), plain(Format::Npy));
        assert_eq!(opened(b"1,2,a\n"), plain(Format::Table));
        assert_eq!(opened("Größe;Länge\n".as_bytes()), plain(Format::Table));
    }

    #[test]
    fn gzip_is_undone_first() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"@problemName x\n").unwrap();
        let bytes = packer.finish().unwrap();

        assert_eq!(opened(&bytes), Ok((Format::Ts, true)));
        let cut = opened(&bytes[..bytes.len() - 9]).unwrap_err();
        assert_eq!(cut, "cannot read x.csv");
    }

    #[test]
    fn foreign_files_are_named_by_their_first_bytes() {
        let zip = |name: &str| {
            let mut bytes = b"PK\x03\x04".to_vec();
            bytes.resize(26, 0);
            bytes.extend([u8::try_from(name.len()).unwrap(), 0, 0, 0]);
            bytes.extend(name.as_bytes());
            bytes
        };
        for (bytes, name) in [
            (b"SQLite format 3\0...".to_vec(), "a SQLite database"),
            (b"\x89PNG\r\n\x1a\n".to_vec(), "a PNG picture"),
            (zip("[Content_Types].xml"), "an Excel workbook (.xlsx)"),
            (zip("a.txt"), "a zip archive"),
            (b"{\"a\": 1}\n".to_vec(), "JSON"),
            (b"\xff\xfe1\0,\0".to_vec(), "a UTF-16 text"),
            (b"\x80\x04\x95\0".to_vec(), "a Python pickle"),
            (
                b"\x01\x02\x03\0\x05".to_vec(),
                "binary data of an unknown kind (it begins 01 02 03 00 05)",
            ),
        ] {
            let message = opened(&bytes).unwrap_err();
            assert!(
                message.starts_with(&format!("`x.csv` is {name}, expected ")),
                "{message}"
            );
            assert!(
                message.chars().all(|letter| !letter.is_control()),
                "{message:?}"
            );
        }
        assert_eq!(opened(&zip("X.npy")), Ok((Format::Npz, false)));
    }

    #[test]
    fn an_empty_file_is_said_to_be_empty() {
        let message = "`x.csv`: found an empty file, expected a row for each sample";
        assert_eq!(opened(b"").unwrap_err(), message);
        assert_eq!(opened(b"\n \n").unwrap_err(), message);
    }
}
