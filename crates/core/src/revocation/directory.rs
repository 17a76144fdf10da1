//! Which generation is each page of revocations in?
//!
//! The directory holds a u32, little-endian, for each page up to the last one ever stored; 0 stands for a page that was
//! not. A generation moves whenever its page was changed, so a reader knows which pages to read again.

use crate::cells::CellFault;

/// The generations that were stored as these bytes; a fault where they cannot be those of at most `page_count` pages.
pub(super) fn decode(bytes: &[u8], page_count: usize) -> Result<Vec<u32>, CellFault> {
    let (words, loose) = bytes.as_chunks::<4>();
    if !loose.is_empty() || words.is_empty() || words.len() > page_count {
        return Err(CellFault);
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

/// The bytes of the directory once the generation of `page` has moved.
pub(super) fn moved(stored: Option<&[u8]>, page: usize, page_count: usize) -> Result<Vec<u8>, CellFault> {
    let mut generations = stored.map_or(Ok(Vec::new()), |bytes| decode(bytes, page_count))?;
    if generations.len() <= page {
        generations.resize(page.saturating_add(1), 0);
    }
    if let Some(generation) = generations.get_mut(page) {
        *generation = generation.wrapping_add(1).max(1);
    }
    Ok(generations.into_iter().flat_map(u32::to_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_was_changed_moves_on_alone_and_never_to_zero() {
        let first = moved(None, 1, 3).unwrap();
        assert_eq!(decode(&first, 3), Ok(vec![0, 1]));
        let second = moved(Some(&first), 2, 3).unwrap();
        assert_eq!(decode(&second, 3), Ok(vec![0, 1, 1]));
        assert_eq!(decode(&moved(Some(&second), 1, 3).unwrap(), 3), Ok(vec![0, 2, 1]));
        assert_eq!(decode(&moved(Some(&[0xFF; 4]), 0, 3).unwrap(), 3), Ok(vec![1]));
    }

    #[test]
    fn bytes_that_cannot_be_a_directory_are_a_fault() {
        for length in [0, 1, 7, 16] {
            assert_eq!(decode(&vec![1; length], 3), Err(CellFault));
            assert_eq!(moved(Some(&vec![1; length]), 0, 3), Err(CellFault));
        }
    }
}
