//! Makes a module report its run: which functions it enters, and which way it goes at each branch.

use std::convert::Infallible;

use fake_envoy::STEPS;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, EntityType, Function, ImportSection, Module, TypeSection, ValType};
use wasmparser::{FunctionBody, ImportSectionReader, Operator, Parser, TypeRef, TypeSectionReader};

/// `module`, changed to report its steps to imports that `fake-envoy` has. Functions are reported by their numbers in
/// `module`; branches are numbered in the order of its code.
pub(crate) fn reporting(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut reported = Module::new();
    Reporter::default()
        .parse_core_module(&mut reported, Parser::new(0), module)
        .map_err(|error| format!("cannot be made to report its steps: {error}"))?;
    Ok(reported.finish())
}

/// Whether the operator is a branch that can go two ways, so that it can have a hint.
pub(crate) fn is_branch(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::BrIf { .. } | Operator::If { .. })
}

/// Copies the instructions of `body`, calling `before_branch` before each branch.
pub(crate) fn copy_code<R: Reencode<Error = Infallible>>(
    reencoder: &mut R,
    body: &FunctionBody<'_>,
    function: &mut Function,
    mut before_branch: impl FnMut(&mut R, &mut Function),
) -> Result<(), Error<Infallible>> {
    for operator in body.get_operators_reader()? {
        let operator = operator?;
        if is_branch(&operator) {
            before_branch(reencoder, function);
        }
        function.instruction(&reencoder.instruction(operator)?);
    }
    Ok(())
}

/// The number of functions that a section imports, which is also the number of the first function with a body.
pub(crate) fn imported_functions(
    imports: &ImportSectionReader<'_>,
) -> Result<u32, wasmparser::BinaryReaderError> {
    let mut count = 0_u32;
    for import in imports.clone().into_imports() {
        if matches!(import?.ty, TypeRef::Func(_)) {
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}

#[derive(Default)]
struct Reporter {
    /// The number of types, without the reporter's own.
    types: u32,
    /// The number of imported functions, without the reporter's own.
    imported: u32,
    functions: u32,
    branches: u32,
}

impl Reporter {
    fn report(function: &mut Function, number: u32, to: u32) {
        function.instructions().i32_const(number.cast_signed()).call(to);
    }
}

impl Reencode for Reporter {
    type Error = Infallible;

    /// The reporter imports two more functions, after the others.
    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        Ok(if function < self.imported { function } else { function.saturating_add(2) })
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        self.types = section.count();
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], []);
        types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        self.imported = imported_functions(&section)?;
        self.functions = self.imported;
        utils::parse_import_section(self, imports, section)?;
        imports.import(STEPS, "entered", EntityType::Function(self.types));
        imports.import(STEPS, "branched", EntityType::Function(self.types.saturating_add(1)));
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let (entered, branched) = (self.imported, self.imported.saturating_add(1));
        let mut function = self.new_function_with_parsed_locals(&body)?;
        Self::report(&mut function, self.functions, entered);
        self.functions = self.functions.saturating_add(1);
        copy_code(self, &body, &mut function, |reporter, function| {
            Self::report(function, reporter.branches, branched);
            reporter.branches = reporter.branches.saturating_add(1);
        })?;
        code.function(&function);
        Ok(())
    }
}
