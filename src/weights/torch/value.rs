//! What the pickle of a state dict consists of: values, and the only names it may have.

use std::rc::Rc;

/// What a tensor of a state dict consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TorchTensor {
    pub(super) storage: Rc<Storage>,
    /// Elements of the storage in front of the first one.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// Elements in an entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// Name of the entry in the archive's folder `data`.
    pub(super) key: String,
    /// Type of its elements, as safetensors calls it.
    pub(super) dtype: &'static str,
    /// Number of its elements.
    pub(super) len: usize,
}

/// Index of a value.
pub(super) type Ref = usize;

#[derive(Debug)]
pub(super) enum Value {
    /// None, true or false.
    Plain,
    Int(i64),
    Text(String),
    Name(Name),
    Tuple(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Storage(Rc<Storage>),
    Tensor(Rc<TorchTensor>),
}

/// The names that a state dict needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    /// With the type of the elements.
    Storage(&'static str),
}

impl Name {
    /// Any other name is an error.
    pub(super) fn find(module: &str, name: &str) -> Result<Self, String> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch", "FloatStorage") => Self::Storage("F32"),
            ("torch", "HalfStorage") => Self::Storage("F16"),
            ("torch", "BFloat16Storage") => Self::Storage("BF16"),
            ("torch", "DoubleStorage") => Self::Storage("F64"),
            ("torch", "LongStorage") => Self::Storage("I64"),
            ("torch", "IntStorage") => Self::Storage("I32"),
            ("torch", "ShortStorage") => Self::Storage("I16"),
            ("torch", "CharStorage") => Self::Storage("I8"),
            ("torch", "ByteStorage") => Self::Storage("U8"),
            ("torch", "BoolStorage") => Self::Storage("BOOL"),
            _ => {
                return Err(format!(
                    "its pickle asks for `{module:.80}.{name:.80}`, which no weights need; nothing was run"
                ));
            }
        })
    }
}
