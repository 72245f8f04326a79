/* Questions that stand in front of everything until they are answered. */
import {el} from "./dom.js";
import {visible} from "./format.js";

/* Shows a dialog until it closes, and the focus goes back; returns its last word. */
function ask(dialog) {
	document.body.append(dialog);
	dialog.showModal();
	return new Promise((done) => dialog.addEventListener("close", () => {
		dialog.remove();
		done(dialog.returnValue);
	}));
}

/* What is typed must be the name, as it is or as it is shown. */
function typed(name, button) {
	const input = el("input", {type: "text", autocomplete: "off", spellcheck: "false", id: "typed", on: {
		input: () => {
			button.disabled = input.value !== name && input.value !== visible(name);
		},
	}});
	return el("p", {class: "field"}, el("label", {for: "typed"}, "To confirm, type its name:"), input);
}

/* Whether a person wants that.  name: must be typed. */
export async function confirm({title, lines, action, name = null}) {
	const button = el("button", {class: "danger", value: "yes", disabled: name !== null}, action);
	const no = el("button", {type: "button", autofocus: name === null, on: {click: () => dialog.close("")}}, "Cancel");
	const dialog = el("dialog", {"aria-labelledby": "question"},
		el("form", {method: "dialog"},
			el("h2", {id: "question"}, title),
			...lines.map((line) => el("p", {}, line)),
			name !== null ? typed(name, button) : null,
			el("div", {class: "buttons"}, no, button)));
	return (await ask(dialog)) === "yes";
}

/* Tells something; keys: [[key, what it does]]. */
export function help(keys) {
	return ask(el("dialog", {"aria-labelledby": "question"},
		el("form", {method: "dialog"},
			el("h2", {id: "question"}, "Shortcuts"),
			el("dl", {class: "keys"}, ...keys.flatMap(([key, what]) => [
				el("dt", {}, ...key.split(" ").map((k) => el("kbd", {}, k))), el("dd", {}, what)])),
			el("div", {class: "buttons"}, el("button", {value: "", autofocus: true}, "Close")))));
}
