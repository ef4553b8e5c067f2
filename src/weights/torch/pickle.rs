//! The pickle of a state dict, read by a machine that can do nothing else.
//!
//! A pickle is a program. This machine knows the instructions that `torch.save` uses for a
//! dictionary of tensors, and three kinds of names: `OrderedDict`, the storages of tensors, and
//! the function that makes a tensor of a storage, which is not called but understood. Any other
//! name or instruction is refused, so a pickle can ask for nothing.
//!
//! Values live in one table and refer to each other by index, as in Python: memory is in
//! proportion to the pickle, however values share each other, and no depth of nesting is a depth
//! of the stack here.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::file::{MAX_NAME, MAX_RANK};
use super::value::{Name, Ref, Storage, TorchTensor, Value};

/// Longest name of a storage: PyTorch counts them. Names and shapes are copied, and tensors that
/// share a long one must not take memory out of proportion to the pickle.
const MAX_KEY: usize = 64;

/// Reads a dictionary of tensors.
///
/// # Errors
/// What was found, and what was expected.
pub(super) fn read_state_dict(pickle: &[u8]) -> Result<Vec<(String, Rc<TorchTensor>)>, String> {
    let mut machine = Machine {
        input: pickle,
        ..Machine::default()
    };
    let root = machine.run()?;
    let Value::Dict(items) = &machine.values[root] else {
        return Err("its pickle is no dictionary of tensors".to_owned());
    };
    let tensors = items.iter().map(|&(key, value)| {
        let Value::Text(name) = &machine.values[key] else {
            return Err("its pickle has a key that is no text".to_owned());
        };
        if name.len() > MAX_NAME {
            return Err(format!("its pickle has a name of {} bytes", name.len()));
        }
        match &machine.values[value] {
            Value::Tensor(tensor) => Ok((name.clone(), Rc::clone(tensor))),
            _ => Err(format!(
                "`{name}` is no tensor: expected is a state dict, not a training checkpoint"
            )),
        }
    });
    tensors.collect()
}

/// Takes values off the stack, first pushed first.
type Popped<const N: usize> = Result<[Ref; N], String>;

#[derive(Default)]
struct Machine<'a> {
    input: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Ref>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
}

impl Machine<'_> {
    /// Runs to the end; the value that is left.
    fn run(&mut self) -> Result<Ref, String> {
        loop {
            let [code] = self.take()?;
            match code {
                b'.' => return self.pop::<1>().map(|[root]| root),
                0x80 => match self.take()? {
                    [2] => {}
                    [other] => return Err(format!("its pickle has protocol {other}, not 2")),
                },
                b'(' => self.marks.push(self.stack.len()),
                b'q' | b'r' | b'h' | b'j' => self.memo(code)?,
                b't' | 0x85..=0x87 | b')' => self.tuple(code)?,
                b's' | b'u' | b'}' => self.dict(code)?,
                b'R' => self.reduce()?,
                b'Q' => self.storage()?,
                // The state of a dictionary: `_metadata`, which says nothing of the tensors.
                b'b' => {
                    self.pop::<1>()?;
                }
                _ => {
                    let value = self.scalar(code)?;
                    self.push(value);
                }
            }
        }
    }

    fn scalar(&mut self, code: u8) -> Result<Value, String> {
        Ok(match code {
            b'N' | 0x88 | 0x89 => Value::Plain,
            b'K' => Value::Int(self.take().map(|[byte]| i64::from(byte))?),
            b'M' => Value::Int(u16::from_le_bytes(self.take()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.take()?).into()),
            0x8a => {
                let [len] = self.take()?;
                let bytes = self.bytes(usize::from(len))?;
                let mut wide = [0; 8];
                // A negative number, or one of more than eight bytes, is no length of anything.
                match wide.get_mut(..bytes.len()).filter(|_| bytes.len() < 8) {
                    Some(low) => low.copy_from_slice(bytes),
                    None => return Err(format!("its pickle has an integer of {len} bytes")),
                }
                Value::Int(i64::from_le_bytes(wide))
            }
            b'X' => {
                let len = u32::from_le_bytes(self.take()?);
                let bytes = self.bytes(usize::try_from(len).unwrap_or(usize::MAX))?;
                let text = str::from_utf8(bytes);
                Value::Text(text.map_err(|_| "its pickle has broken text")?.to_owned())
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Value::Name(Name::find(&module, &name)?)
            }
            other => {
                return Err(format!(
                    "its pickle has the instruction {other:#04x}, which no state dict needs"
                ));
            }
        })
    }

    fn memo(&mut self, code: u8) -> Result<(), String> {
        let index = match code {
            b'q' | b'h' => self.take().map(|[byte]| u32::from(byte))?,
            _ => u32::from_le_bytes(self.take()?),
        };
        if matches!(code, b'q' | b'r') {
            let top = self.stack.last().ok_or("its pickle is cut off")?;
            self.memo.insert(index, *top);
        } else {
            let value = self.memo.get(&index);
            let value = value.ok_or_else(|| format!("its pickle never made value {index}"))?;
            self.stack.push(*value);
        }
        Ok(())
    }

    fn tuple(&mut self, code: u8) -> Result<(), String> {
        let items = match code {
            0x85 => self.pop::<1>()?.to_vec(),
            0x86 => self.pop::<2>()?.to_vec(),
            0x87 => self.pop::<3>()?.to_vec(),
            b't' => self.pop_to_mark()?,
            _ => Vec::new(),
        };
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn dict(&mut self, code: u8) -> Result<(), String> {
        let added = match code {
            b's' => self.pop::<2>()?.to_vec(),
            b'u' => self.pop_to_mark()?,
            _ => {
                self.push(Value::Dict(Vec::new()));
                return Ok(());
            }
        };
        let dict = self.stack.last().map(|&top| &mut self.values[top]);
        let (Some(Value::Dict(items)), (pairs, [])) = (dict, added.as_chunks::<2>()) else {
            return Err("its pickle adds to what is no dictionary".to_owned());
        };
        items.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    /// What Python would call, understood.
    fn reduce(&mut self) -> Result<(), String> {
        let [function, arguments] = self.pop()?;
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Err("its pickle calls something without arguments".to_owned());
        };
        let made = match (&self.values[function], arguments.as_slice()) {
            (Value::Name(Name::OrderedDict), []) => Value::Dict(Vec::new()),
            (Value::Name(Name::RebuildTensor), &[storage, offset, shape, strides, ..]) => {
                let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
                let offset = self.size(offset)?;
                let Value::Storage(storage) = &self.values[storage] else {
                    return Err("its pickle makes a tensor without a storage".to_owned());
                };
                let storage = Rc::clone(storage);
                Value::Tensor(Rc::new(TorchTensor {
                    storage,
                    offset,
                    shape,
                    strides,
                }))
            }
            _ => return Err("its pickle calls something that no state dict needs".to_owned()),
        };
        self.push(made);
        Ok(())
    }

    /// `('storage', torch.FloatStorage, key, device, number of elements)`
    fn storage(&mut self) -> Result<(), String> {
        let [id] = self.pop()?;
        let problem = "its pickle refers to something that is no storage";
        let Value::Tuple(id) = &self.values[id] else {
            return Err(problem.to_owned());
        };
        let &[_, kind, key, _, len] = id.as_slice() else {
            return Err(problem.to_owned());
        };
        let len = self.size(len)?;
        let (Value::Name(Name::Storage(dtype)), Value::Text(key)) =
            (&self.values[kind], &self.values[key])
        else {
            return Err(problem.to_owned());
        };
        if key.len() > MAX_KEY {
            return Err(format!(
                "its pickle has a storage named by {} bytes",
                key.len()
            ));
        }
        let storage = Storage {
            key: key.clone(),
            dtype,
            len,
        };
        self.push(Value::Storage(Rc::new(storage)));
        Ok(())
    }

    fn size(&self, value: Ref) -> Result<usize, String> {
        match &self.values[value] {
            Value::Int(n) => {
                usize::try_from(*n).map_err(|_| format!("its pickle has a size of {n}"))
            }
            _ => Err("its pickle has a size that is no integer".to_owned()),
        }
    }

    fn sizes(&self, value: Ref) -> Result<Vec<usize>, String> {
        match &self.values[value] {
            Value::Tuple(sizes) if sizes.len() > MAX_RANK => Err(format!(
                "its pickle has a tensor of {} dimensions",
                sizes.len()
            )),
            Value::Tuple(sizes) => sizes.iter().map(|&size| self.size(size)).collect(),
            _ => Err("its pickle has a shape that is no tuple".to_owned()),
        }
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop<const N: usize>(&mut self) -> Popped<N> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last_chunk() {
            Some(&top) if self.stack.len() >= floor + N => {
                self.stack.truncate(self.stack.len() - N);
                Ok(top)
            }
            _ => Err("its pickle takes what is not there".to_owned()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Ref>, String> {
        let mark = self.marks.pop().ok_or("its pickle has no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self
            .input
            .split_first_chunk()
            .ok_or("its pickle is cut off")?;
        self.input = rest;
        Ok(*taken)
    }

    fn bytes(&mut self, len: usize) -> Result<&[u8], String> {
        let (taken, rest) = self
            .input
            .split_at_checked(len)
            .ok_or("its pickle is cut off")?;
        self.input = rest;
        Ok(taken)
    }

    /// Text up to the end of a line.
    fn line(&mut self) -> Result<String, String> {
        let end = self.input.iter().position(|&byte| byte == b'\n');
        let line = self.bytes(end.ok_or("its pickle is cut off")?)?;
        let line = String::from_utf8_lossy(line).into_owned();
        self.take::<1>()?;
        Ok(line)
    }
}
