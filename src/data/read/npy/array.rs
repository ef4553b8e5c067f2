//! An `.npy` array: its header, and its elements as values or texts.

use std::io::{Cursor, Read};

use crate::data::read::{Place, ReadError};

/// The magic bytes, two of version.
const PREFIX_BYTES: usize = 8;
/// Most bytes of a header: numpy's own limit is below it.
const MOST_HEADER_BYTES: usize = 1 << 20;

/// Type of the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dtype {
    kind: u8,
    /// Bytes of an element.
    size: usize,
    big_endian: bool,
}

/// An array whose header has been read.
pub(in crate::data::read) struct Array<R> {
    dtype: Dtype,
    pub(in crate::data::read) shape: Vec<usize>,
    fortran: bool,
    /// At the first element.
    reader: R,
    /// File and name of the array, for messages.
    pub(super) place: Place,
}

impl<R: Read> Array<R> {
    /// Reads the header.
    pub(in crate::data::read) fn open(mut reader: R, place: Place) -> Result<Self, ReadError> {
        let cut = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => place
                .clone()
                .found("the end of the file", "the header of an array"),
            _ => ReadError::io(&place.file)(error),
        };
        let mut prefix = [0; PREFIX_BYTES];
        reader.read_exact(&mut prefix).map_err(cut)?;
        let mut size = [0; 4];
        let size_bytes = if prefix[6] == 1 { 2 } else { 4 };
        if !prefix.starts_with(b"\x93NUMPY") || !(1..=3).contains(&prefix[6]) {
            return Err(place.found("no header of a numpy array", "`\\x93NUMPY`, version 1 to 3"));
        }
        reader.read_exact(&mut size[..size_bytes]).map_err(cut)?;
        let size = u32::from_le_bytes(size) as usize;
        if size > MOST_HEADER_BYTES {
            return Err(place.found(format!("a header of {size} bytes"), "a shorter one"));
        }
        let mut header = vec![0; size];
        reader.read_exact(&mut header).map_err(cut)?;
        let header = String::from_utf8_lossy(&header).into_owned();
        let parsed = parse_header(&header);
        let (dtype, fortran, shape) =
            parsed.map_err(|expected| place.clone().found_text(&header, expected))?;
        Ok(Self {
            dtype,
            shape,
            fortran,
            reader,
            place,
        })
    }

    pub(super) fn n_elements(&self) -> Result<usize, ReadError> {
        let n = self
            .shape
            .iter()
            .try_fold(1_usize, |n, &axis| n.checked_mul(axis));
        n.and_then(|n| n.checked_mul(self.dtype.size).map(|_| n))
            .ok_or_else(|| {
                self.place
                    .clone()
                    .found(format!("the shape {:?}", self.shape), "one that can be")
            })
    }

    /// The next `n` elements, as bytes.
    fn bytes(&mut self, n: usize) -> Result<Vec<u8>, ReadError> {
        let expected = n * self.dtype.size;
        let mut bytes = Vec::new();
        // Memory is taken as bytes come: the header may promise more than there are.
        let taken = self
            .reader
            .by_ref()
            .take(expected as u64)
            .read_to_end(&mut bytes);
        taken.map_err(ReadError::io(&self.place.file))?;
        match bytes.len() == expected {
            true => Ok(bytes),
            false => {
                let found = format!("the end of the array after {} of its bytes", bytes.len());
                let expected = format!("{expected} as its shape {:?} says", self.shape);
                Err(self.place.clone().found(found, expected))
            }
        }
    }

    /// The next `n` elements as values.
    pub(super) fn values(&mut self, n: usize) -> Result<Vec<f32>, ReadError> {
        let dtype = self.dtype;
        let bytes = self.bytes(n)?;
        Ok(bytes
            .chunks_exact(dtype.size)
            .map(|element| dtype.value(element))
            .collect())
    }

    pub(super) fn check_numbers(&self) -> Result<(), ReadError> {
        if self.dtype.is_number() {
            return Ok(());
        }
        let place = self.place.clone();
        let found = format!("elements of type `{}`", char::from(self.dtype.kind));
        let error = place.found(found, "numbers of 1 to 8 bytes");
        Err(match self.dtype.kind {
            b'O' => error.hint("`X.astype('float32')` makes numbers of Python objects"),
            _ => error,
        })
    }

    /// One text for each of `n` samples.
    pub(in crate::data::read) fn texts(mut self, n: usize) -> Result<Vec<String>, ReadError> {
        let is_column = self.shape.first() == Some(&n) && self.shape[1..].iter().all(|&a| a == 1);
        if !is_column {
            let found = format!("the shape {:?}", self.shape);
            return Err(self
                .place
                .found(found, format!("[{n}], one entry for each sample")));
        }
        if self.dtype.kind == b'O' {
            let error = self.place.found("Python objects", "texts or numbers");
            return Err(error.hint("`y.astype(str)` makes texts of them"));
        }
        let dtype = self.dtype;
        if dtype.size == 0 {
            return Ok(vec![String::new(); n]);
        }
        let bytes = self.bytes(n)?;
        Ok(bytes
            .chunks_exact(dtype.size)
            .map(|element| dtype.text(element))
            .collect())
    }

    /// The array with its last axis the fastest, and any reader.
    pub(super) fn ordered<'a>(self) -> Result<Array<Box<dyn Read + Send + 'a>>, ReadError>
    where
        R: Send + 'a,
    {
        if self.fortran {
            return self.in_order();
        }
        let Self {
            dtype,
            shape,
            fortran,
            reader,
            place,
        } = self;
        let reader: Box<dyn Read + Send + 'a> = Box::new(reader);
        Ok(Array {
            dtype,
            shape,
            fortran,
            reader,
            place,
        })
    }

    /// The elements put in order, where the first axis is the fastest.
    fn in_order<'a>(mut self) -> Result<Array<Box<dyn Read + Send + 'a>>, ReadError> {
        let n = self.n_elements()?;
        let size = self.dtype.size;
        let bytes = self.bytes(n)?;
        let mut ordered = Vec::with_capacity(bytes.len());
        // The first axis varies fastest.
        let mut strides = Vec::with_capacity(self.shape.len());
        let mut stride = 1;
        for &axis in &self.shape {
            strides.push(stride);
            stride *= axis;
        }
        for index in 0..n {
            let mut rest = index;
            let mut at = 0;
            for (&axis, stride) in self.shape.iter().zip(&strides).rev() {
                at += rest % axis * stride;
                rest /= axis;
            }
            ordered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        }
        let reader: Box<dyn Read + Send + 'a> = Box::new(Cursor::new(ordered));
        let Self {
            dtype,
            shape,
            place,
            ..
        } = self;
        Ok(Array {
            dtype,
            shape,
            fortran: false,
            reader,
            place,
        })
    }
}

impl Dtype {
    fn is_number(self) -> bool {
        match self.kind {
            b'f' => [2, 4, 8].contains(&self.size),
            b'i' | b'u' => [1, 2, 4, 8].contains(&self.size),
            b'b' => self.size == 1,
            _ => false,
        }
    }

    /// The bytes of an element, the lowest first.
    fn little(self, element: &[u8]) -> [u8; 8] {
        let mut bytes = [0; 8];
        for (index, &byte) in element.iter().take(8).enumerate() {
            let at = if self.big_endian {
                self.size.min(8) - 1 - index
            } else {
                index
            };
            bytes[at] = byte;
        }
        bytes
    }

    fn integer(self, element: &[u8]) -> i128 {
        let bits = u64::from_le_bytes(self.little(element));
        let unused = 64 - 8 * self.size.clamp(1, 8);
        match self.kind {
            b'i' => i128::from((bits << unused).cast_signed() >> unused),
            _ => i128::from(bits),
        }
    }

    fn float(self, element: &[u8]) -> f64 {
        let b = self.little(element);
        match self.size {
            2 => f64::from(half::f16::from_le_bytes([b[0], b[1]])),
            4 => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            _ => f64::from_le_bytes(b),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "values are read as 32-bit numbers"
    )]
    fn value(self, element: &[u8]) -> f32 {
        match self.kind {
            b'f' => self.float(element) as f32,
            _ => self.integer(element) as f32,
        }
    }

    fn text(self, element: &[u8]) -> String {
        match self.kind {
            b'U' => {
                let letter = |unit: &[u8]| {
                    let mut code = [unit[0], unit[1], unit[2], unit[3]];
                    if self.big_endian {
                        code.reverse();
                    }
                    char::from_u32(u32::from_le_bytes(code)).unwrap_or(char::REPLACEMENT_CHARACTER)
                };
                let text: String = element.chunks_exact(4).map(letter).collect();
                text.trim_end_matches('\0').to_owned()
            }
            b'S' => String::from_utf8_lossy(element)
                .trim_end_matches('\0')
                .to_owned(),
            b'b' => (element[0] != 0).to_string(),
            b'f' => match self.float(element) {
                number if number.is_nan() => String::new(),
                number => number.to_string(),
            },
            _ => self.integer(element).to_string(),
        }
    }
}

/// Type, order and shape of a header such as
/// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4, 5), }`; the error is what it should be.
fn parse_header(header: &str) -> Result<(Dtype, bool, Vec<usize>), &'static str> {
    let value = |key: &str| {
        let at = header.find(&format!("'{key}'"))?;
        let rest = &header[at + key.len() + 2..];
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    let expected = "a header with `descr`, `fortran_order` and `shape`";
    let descr = value("descr").ok_or(expected)?;
    let descr = descr
        .strip_prefix('\'')
        .ok_or("elements of one type, not of several fields")?;
    let descr = &descr[..descr.find('\'').ok_or(expected)?];
    let shape = value("shape")
        .and_then(|shape| shape.strip_prefix('('))
        .ok_or(expected)?;
    let shape = &shape[..shape.find(')').ok_or(expected)?];
    let axes = shape
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty());
    let shape = axes.map(|axis| axis.trim_end_matches('L').parse().map_err(|_| expected));
    let shape = shape.collect::<Result<Vec<usize>, _>>()?;
    let fortran = value("fortran_order").ok_or(expected)?.starts_with("True");
    let plain = descr.trim_start_matches(['<', '>', '|', '=']);
    let kind = *plain.as_bytes().first().ok_or(expected)?;
    let digits = plain.get(1..).unwrap_or_default();
    let size: usize = if kind == b'O' {
        8
    } else {
        digits.parse().map_err(|_| expected)?
    };
    let size = if kind == b'U' {
        size.checked_mul(4).ok_or(expected)?
    } else {
        size
    };
    Ok((
        Dtype {
            kind,
            size,
            big_endian: descr.starts_with('>'),
        },
        fortran,
        shape,
    ))
}
