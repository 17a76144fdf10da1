//! How does a process settle on one value? The first worker to open a cell decides, and all others adopt what it stored.

use super::{CellFault, CellId, Cells, Expected, Stored};

/// The value of the cell `id`: the one that stands there, else `candidate`, which is stored now.
///
/// # Errors
///
/// [`CellFault`] if the host does not answer, or if what stands there is not `N` bytes long.
pub fn open_once<const N: usize>(
    cells: &impl Cells,
    id: CellId,
    candidate: [u8; N],
) -> Result<[u8; N], CellFault> {
    match cells.store(id, &candidate, Expected::Absent)? {
        Stored::Done => Ok(candidate),
        Stored::Conflict => {
            let stored = cells.load(id)?.ok_or(CellFault)?;
            stored.bytes.try_into().map_err(|_| CellFault)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::MemoryCells;

    #[test]
    fn the_first_to_open_decides_and_all_others_adopt_it() {
        let cells = MemoryCells::new();
        assert_eq!(open_once(&cells, CellId::Seed, [1, 2]), Ok([1, 2]));
        assert_eq!(open_once(&cells, CellId::Seed, [3, 4]), Ok([1, 2]));
        assert_eq!(open_once(&cells, CellId::LimitGeometry, [5]), Ok([5]), "each cell for itself");
    }

    #[test]
    fn a_value_of_another_length_is_a_fault() {
        let cells = MemoryCells::new();
        assert_eq!(open_once(&cells, CellId::Seed, [1, 2]), Ok([1, 2]));
        assert_eq!(open_once(&cells, CellId::Seed, [1]), Err(CellFault));
        assert_eq!(open_once(&cells, CellId::Seed, [1, 2, 3]), Err(CellFault));
    }
}
