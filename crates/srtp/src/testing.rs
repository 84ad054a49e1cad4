//! Helpers of the tests.

/// Bytes from hexadecimal digits; anything else in between is skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    assert!(
        digits.len().is_multiple_of(2),
        "odd number of digits in {text}"
    );
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
