// Where a position in block YAML belongs. The parser gives an empty line, and a name without a value, to nothing.

const DASH = /^-(?:\s+|$)/;
const NAME = /^(?:"([^"]*)"|'([^']*)'|([\w$./-]+))\s*:(?:\s+|$)/;

/** The names and dashes that a line begins with, each with its column; and the column where they end. */
function marks(line) {
  const found = [];
  let column = /^ */.exec(line)[0].length;
  for (;;) {
    const rest = line.slice(column);
    const dash = DASH.exec(rest);
    const name = dash ? null : NAME.exec(rest);
    if (!dash && !name) return { found, column };
    found.push({ column, step: dash ? "*" : (name[1] ?? name[2] ?? name[3]) });
    column += (dash ?? name)[0].length;
    if (name) return { found, column };
  }
}

/** Leaves of `open` what a mark at a column is within. A list's dashes may stand below its name. */
function close(open, column, step) {
  while (open.length) {
    const { column: last, step: held } = open.at(-1);
    if (last < column || (last === column && step === "*" && held !== "*")) return;
    open.pop();
  }
}

/**
 * Where a position is that has nothing but names and dashes before it in its line: the path of what is written there, whether
 * that is a name's value, and the names beside it. `null` elsewhere.
 */
export function outline(doc, pos) {
  const line = doc.lineAt(pos);
  const before = line.text.slice(0, pos - line.from);
  const own = marks(before);
  if (before.slice(own.column).trim() || line.text.slice(before.length).trim()) return null;
  const open = [];
  const beside = [];
  let here;
  for (let number = 1; number <= doc.lines; number += 1) {
    const text = number === line.number ? before : doc.line(number).text;
    for (const mark of marks(text).found) {
      close(open, mark.column, mark.step);
      const holder = open.at(-1);
      beside.push({ holder, step: mark.step });
      open.push(mark);
    }
    if (number === line.number) {
      const around = [...open];
      const isValue = own.found.length > 0 && own.found.at(-1).step !== "*";
      if (!own.found.length) close(around, before.length);
      here = { path: around.map(({ step }) => step), isValue, holder: around.at(-1) };
    }
  }
  return { ...here, beside: beside.filter(({ holder }) => holder === here.holder).map(({ step }) => step) };
}
