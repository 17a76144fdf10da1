// The editor of the configuration.

import { acceptCompletion, autocompletion, completionKeymap, completionStatus, moveCompletionSelection, selectedCompletion, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { complete } from "./complete.js";

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--name)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--number)" },
  { tag: tags.comment, color: "var(--quiet)" },
]);

const theme = EditorView.theme({
  "&": { backgroundColor: "var(--field)", color: "var(--text)", fontSize: "0.8125rem", height: "100%" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-gutters": { backgroundColor: "var(--field)", color: "var(--quiet)", border: "none" },
  ".cm-activeLine": { backgroundColor: "var(--line)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused": { outline: "none" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": { backgroundColor: "var(--selection)" },
  ".cm-tooltip": { backgroundColor: "var(--card)", color: "var(--text)", border: "1px solid var(--border)", borderRadius: "6px", boxShadow: "var(--shadow)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "14em" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionInfo": { maxWidth: "22rem", padding: "0.5rem 0.75rem", fontFamily: "var(--sans)" },
  ".cm-completionDetail": { color: "inherit", opacity: "0.85", fontStyle: "normal" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", padding: "0.375rem 0.625rem" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-matchingBracket": { backgroundColor: "var(--selection) !important" },
});

/** Whether a text is meant as JSON; else it is YAML. */
const isJson = (text) => /^\s*(\/\/|\/\*|\{\s*(["}]|\/\/|\/\*|$))/.test(text);

export class Editor {
  #language = new Compartment();
  #isJson = true;
  // Whether the list of completions was asked for: then Enter takes the first, and else it begins a new line.
  #asked = false;

  constructor(parent, onChange) {
    const take = (view, patience = 10) => {
      const status = completionStatus(view.state);
      // What was typed last is still looked up.
      if (status === "pending" && this.#asked && patience > 0) {
        setTimeout(() => take(view, patience - 1), 40);
        return true;
      }
      if (status !== "active") return false;
      if (!selectedCompletion(view.state)) {
        if (!this.#asked) return false;
        moveCompletionSelection(true)(view);
      }
      return acceptCompletion(view);
    };
    const ask = (view) => {
      this.#asked = true;
      return startCompletion(view);
    };
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        extensions: [
          lineNumbers(),
          lintGutter(),
          history(),
          drawSelection(),
          bracketMatching(),
          highlightActiveLine(),
          indentUnit.of("  "),
          autocompletion({ override: [complete], defaultKeymap: false, selectOnOpen: false, interactionDelay: 0, icons: false }),
          Prec.highest(keymap.of([{ key: "Enter", run: (view) => take(view) }, { key: "Ctrl-Space", run: ask }, { mac: "Alt-`", run: ask }])),
          Prec.high(keymap.of(completionKeymap)),
          keymap.of([...defaultKeymap, ...historyKeymap]),
          this.#language.of(json()),
          syntaxHighlighting(colours),
          theme,
          EditorView.contentAttributes.of({ "aria-label": "Configuration", tabindex: "0", spellcheck: "false" }),
          EditorView.updateListener.of((update) => {
            if (completionStatus(update.state) === null && !update.docChanged) this.#asked = false;
            if (update.docChanged) {
              this.#choose();
              onChange();
            }
          }),
        ],
      }),
    });
  }

  get text() {
    return this.view.state.doc.toString();
  }

  set text(text) {
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text }, selection: { anchor: 0 } });
  }

  #choose() {
    const isNow = isJson(this.view.state.doc.sliceString(0, 2000));
    if (isNow === this.#isJson) return;
    this.#isJson = isNow;
    queueMicrotask(() => this.view.dispatch({ effects: this.#language.reconfigure(isNow ? json() : yaml()) }));
  }

  /** Shows problems at their lines. */
  mark(problems) {
    const doc = this.view.state.doc;
    const diagnostics = problems.map((problem) => ({
      ...this.#range(doc, problem),
      severity: problem.severity,
      message: problem.message,
    }));
    this.view.dispatch(setDiagnostics(this.view.state, diagnostics));
  }

  /** Puts the cursor at a problem. */
  goTo(problem) {
    const { from, to } = this.#range(this.view.state.doc, problem);
    this.view.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    this.view.focus();
  }

  /** Lines and columns count from 1, and columns count characters, of which some take two units here. */
  #range(doc, { line, column }) {
    const found = doc.line(Math.min(Math.max(line, 1), doc.lines));
    const before = [...found.text.slice(0, 2 * column)].slice(0, column - 1).join("").length;
    const from = Math.min(found.from + before, found.to);
    const rest = found.text.slice(from - found.from, from - found.from + 200);
    const extent = /^("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,:[\]{}"]+)/.exec(rest)?.[0].length ?? 1;
    return { from, to: Math.min(from + extent, doc.length) };
  }
}
