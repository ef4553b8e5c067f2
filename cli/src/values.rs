//! Values of flags that no file and no model could have: refused as wrong usage, before any work.

/// A number of things, at least one.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("expected at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// A part of a whole of which something has to be left.
pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|number| *number > 0.0 && *number < 1.0);
    number.ok_or_else(|| "expected a number above 0 and below 1".to_owned())
}

/// A part of a whole, or all of it.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|number| *number > 0.0 && *number <= 1.0);
    number.ok_or_else(|| "expected a number above 0, and at most 1".to_owned())
}

/// A character that can stand between columns, as numbers, quotes and lines need the others.
pub(crate) fn delimiter(text: &str) -> Result<char, String> {
    let fits = |mark: &char| {
        mark.is_ascii() && !mark.is_ascii_alphanumeric() && !"+-.?\"\r\n".contains(*mark)
    };
    let mark = text.parse::<char>().ok().filter(fits);
    mark.ok_or_else(|| "expected a character such as a comma, a semicolon or a tab".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_the_bounds_are_taken_or_refused() {
        assert_eq!(count("1"), Ok(1));
        assert!(count("0").is_err() && count("x").is_err());
        assert_eq!(fraction("0.5"), Ok(0.5));
        assert!(["0", "1", "nan"].iter().all(|text| fraction(text).is_err()));
        assert_eq!(share("1"), Ok(1.0));
        assert!(["0", "1.1", "nan"].iter().all(|text| share(text).is_err()));
        assert_eq!(delimiter("\t"), Ok('\t'));
        assert!(
            ["1", "-", ",,", ""]
                .iter()
                .all(|text| delimiter(text).is_err())
        );
    }
}
