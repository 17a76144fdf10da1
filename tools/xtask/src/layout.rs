//! Places the code that requests run side by side, and tells Envoy's compiler which way branches go.
//!
//! A request runs some thousand instructions once each. Between two requests Envoy does so much else that they are cold
//! again, so their cost is the number of cache lines and pages they are spread over. Branch hints are a standard section
//! of WebAssembly that changes no behaviour; V8 moves unlikely code out of the way.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, FunctionSection, ImportSection, Module, RawSection, SectionId,
};
use wasmparser::{CodeSectionReader, FunctionBody, FunctionSectionReader, ImportSectionReader, Parser};

use crate::profile::Profile;
use crate::steps::{copy_code, imported_functions, is_branch};

/// `module` with its functions in the order in which requests enter them, functions that no request enters last, and
/// with hints for the branches that nearly always go one way.
pub(crate) fn arrange(module: &[u8], profile: &Profile) -> Result<Vec<u8>, String> {
    let mut arranged = Module::new();
    let mut layout = Layout {
        profile,
        imported: 0,
        order: Vec::new(),
        new_numbers: Vec::new(),
        hints: BranchHints::new(),
    };
    layout
        .parse_core_module(&mut arranged, Parser::new(0), module)
        .map_err(|error| format!("cannot be arranged: {error}"))?;
    with_hints(&arranged.finish(), &layout.hints).map_err(|error| format!("cannot take hints: {error}"))
}

/// Adds the hints, which must precede the code section.
fn with_hints(module: &[u8], hints: &BranchHints) -> Result<Vec<u8>, wasmparser::BinaryReaderError> {
    let mut hinted = Module::new();
    for section in Parser::new(0).parse_all(module) {
        if let Some((id, range)) = section?.as_section() {
            if id == u8::from(SectionId::Code) {
                hinted.section(hints);
            }
            hinted.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
        }
    }
    Ok(hinted.finish())
}

struct Layout<'p> {
    profile: &'p Profile,
    /// The number of imported functions, which keep their numbers.
    imported: u32,
    /// The old numbers of the functions, in their new order.
    order: Vec<u32>,
    /// The new numbers, by the old ones.
    new_numbers: Vec<u32>,
    hints: BranchHints,
}

impl Layout<'_> {
    fn order_functions(&mut self, count: u32) {
        let end = self.imported.saturating_add(count);
        let entered = self.profile.entered();
        let rest = (self.imported..end).filter(|function| !entered.contains(function));
        self.order = entered.iter().copied().chain(rest).collect();
        self.new_numbers = (0..end).collect();
        for (new, old) in (self.imported..).zip(&self.order) {
            if let Some(number) = self.new_numbers.get_mut(usize::try_from(*old).unwrap_or(usize::MAX)) {
                *number = new;
            }
        }
    }

    /// The items, one for each function, in the new order of functions.
    fn ordered<T: Clone>(&self, items: &[T]) -> Vec<T> {
        let index = |old: &u32| usize::try_from(old.saturating_sub(self.imported)).ok();
        self.order.iter().filter_map(|old| items.get(index(old)?).cloned()).collect()
    }

    /// Adds a function to the code, with its hints. `branch`: the number of its first branch.
    fn add(
        &mut self,
        code: &mut CodeSection,
        body: &FunctionBody<'_>,
        mut branch: u32,
    ) -> Result<(), Error<Infallible>> {
        let number = self.imported.saturating_add(code.len());
        let mut function = self.new_function_with_parsed_locals(body)?;
        let mut hints = Vec::new();
        copy_code(self, body, &mut function, |layout, function| {
            if let Some(taken) = layout.profile.goes(branch) {
                let offset = u32::try_from(function.byte_len()).unwrap_or(u32::MAX);
                hints.push(BranchHint { branch_func_offset: offset, branch_hint_value: taken.into() });
            }
            branch = branch.saturating_add(1);
        })?;
        if !hints.is_empty() {
            self.hints.function_hints(number, hints);
        }
        code.function(&function);
        Ok(())
    }
}

fn branches(body: &FunctionBody<'_>) -> Result<u32, wasmparser::BinaryReaderError> {
    let mut count = 0_u32;
    for operator in body.get_operators_reader()? {
        count = count.saturating_add(u32::from(is_branch(&operator?)));
    }
    Ok(count)
}

impl Reencode for Layout<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        let new = usize::try_from(function).ok().and_then(|function| self.new_numbers.get(function));
        Ok(new.copied().unwrap_or(function))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        self.imported = imported_functions(&section)?;
        utils::parse_import_section(self, imports, section)
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        self.order_functions(section.count());
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for of_function in self.ordered(&types) {
            let of_function = self.type_index(of_function)?;
            functions.function(of_function);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let mut first_branch = 0_u32;
        let mut bodies = Vec::new();
        for body in section {
            let body = body?;
            let count = branches(&body)?;
            bodies.push((body, first_branch));
            first_branch = first_branch.saturating_add(count);
        }
        for (body, first_branch) in self.ordered(&bodies) {
            self.add(code, &body, first_branch)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use wasm_encoder::{ExportKind, ExportSection, Function, TypeSection, ValType};
    use wasmparser::{KnownCustom, Operator, Payload};

    use super::*;

    const IF: u8 = 0x04;
    const BR_IF: u8 = 0x0d;

    /// Functions `a`, `b` and `c`; `a` calls `c`, and each has an `if`.
    fn module() -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([ValType::I32], []);
        let mut functions = FunctionSection::new();
        let mut exports = ExportSection::new();
        let mut code = CodeSection::new();
        for (number, name) in (0..).zip(["a", "b", "c"]) {
            functions.function(0);
            exports.export(name, ExportKind::Func, number);
            let mut function = Function::new([]);
            function.instructions().local_get(0).if_(wasm_encoder::BlockType::Empty);
            if name == "a" {
                function.instructions().i32_const(7).call(2);
            }
            function.instructions().end().end();
            code.function(&function);
        }
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&exports).section(&code);
        module.finish()
    }

    #[derive(Debug, Default)]
    struct Read {
        exports: Vec<(String, u32)>,
        /// The functions that are called in each.
        calls: Vec<Vec<u32>>,
        /// The function of each hinted branch, and whether it is taken.
        hints: Vec<(u32, bool)>,
    }

    fn read(module: &[u8]) -> Read {
        let mut read = Read::default();
        let (mut imported, mut starts, mut hints) = (0, Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(module).map(Result::unwrap) {
            if let Payload::ImportSection(section) = &payload {
                imported = imported_functions(section).unwrap();
            }
            if let Payload::ExportSection(section) = &payload {
                let exports = section.clone().into_iter().map(Result::unwrap);
                read.exports = exports.map(|export| (export.name.to_owned(), export.index)).collect();
            }
            if let Payload::CustomSection(section) = &payload
                && let KnownCustom::BranchHints(section) = section.as_known()
            {
                for function in section.into_iter().map(Result::unwrap) {
                    hints.extend(function.hints.into_iter().map(|hint| (function.func, hint.unwrap())));
                }
            }
            if let Payload::CodeSectionEntry(body) = &payload {
                let called = |operator| {
                    if let Operator::Call { function_index } = operator { Some(function_index) } else { None }
                };
                let operators = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap);
                read.calls.push(operators.filter_map(called).collect());
                starts.push(body.range().start);
            }
        }
        for (function, hint) in hints {
            let body = usize::try_from(function.checked_sub(imported).unwrap()).unwrap();
            let offset = starts[body].checked_add(usize::try_from(hint.func_offset).unwrap()).unwrap();
            assert!(
                [IF, BR_IF].contains(&module[offset]),
                "a hint for something else in function {function}"
            );
            read.hints.push((function, hint.taken));
        }
        read
    }

    #[test]
    fn functions_stand_in_the_order_in_which_they_are_entered_and_are_called_by_their_new_numbers() {
        use fake_envoy::Step::{Branched, Entered};
        let mut profile = Profile::default();
        profile.note(&[
            Entered(2),
            Branched(2, true),
            Entered(0),
            Entered(2),
            Branched(2, false),
            Branched(0, false),
        ]);
        let arranged = arrange(&module(), &profile).unwrap();
        let Read { exports, calls, hints } = read(&arranged);
        let named = |name: &str, number| (name.to_owned(), number);
        assert_eq!(exports, [named("a", 1), named("b", 2), named("c", 0)]);
        assert_eq!(calls, [vec![], vec![0], vec![]]);
        // That of `c` went both ways.
        assert_eq!(hints, [(1, false)]);
    }

    #[test]
    fn what_no_request_enters_stands_behind_what_requests_enter_in_the_module_that_ships() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../dist/api_guard.wasm");
        let Ok(module) = std::fs::read(path) else { return };
        let Read { calls, hints, .. } = read(&module);
        let profile = Profile::of(&module).unwrap();
        let first = *profile.entered().iter().min().unwrap();
        let mut entered = profile.entered().to_vec();
        entered.sort_unstable();
        assert!(entered.iter().copied().eq((first..).take(entered.len())), "not side by side: {entered:?}");
        assert!(entered.len() < calls.len() / 2, "{} of {} functions", entered.len(), calls.len());
        assert!(hints.len() > 500, "{} hints", hints.len());
    }
}
