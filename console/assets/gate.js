/* What stands in place of a page that cannot be had, and the line that says how fresh the figures
 * are. */
import {Away, hasToken, useToken} from "./ask.js";
import {el, say} from "./dom.js";

/* A form for a token; it is kept in memory until the page is left. */
function form(again) {
	const input = el("input", {type: "password", id: "token", autocomplete: "off", spellcheck: "false", required: true,
		autofocus: true});
	return el("form", {on: {
		submit: (e) => {
			e.preventDefault();
			useToken(input.value.trim().replace(/^Bearer\s+/i, ""));
			input.value = "";
			again();
		},
	}}, el("p", {class: "field"}, el("label", {for: "token"}, "Token"), input),
	el("div", {class: "buttons"}, el("button", {class: "main"}, "Use this token")));
}

const WHO = "Its identity needs “operate” by a rule of acl. The token stays in this page's memory, and is gone when it is left.";

/* The panel for an error; again: what to do once there is another token. */
export function gate(error, again) {
	if (error.status === 401)
		return el("section", {class: "panel gate", "aria-labelledby": "title"},
			el("h1", {id: "title"}, "This broker asks for a token"),
			hasToken() ? el("p", {class: "why", role: "alert"}, `The one that was given is refused: ${error.message}.`)
				: el("p", {}, `The broker says: ${error.message}.`),
			el("p", {class: "help"}, WHO),
			form(again));
	if (error.status === 403)
		return el("section", {class: "panel gate", "aria-labelledby": "title"},
			el("h1", {id: "title"}, "Not allowed"),
			el("p", {class: "why", role: "alert"}, `The broker says: ${error.message}.`),
			el("p", {class: "help"}, hasToken() ? "Another token may be allowed." : "A token may let you in."),
			form(again));
	if (error.status === 404)
		return el("section", {class: "panel gate"}, el("h1", {id: "title"}, "No such page"),
			el("p", {}, el("a", {href: "#overview"}, "To the overview")));
	return el("section", {class: "panel gate"}, el("h1", {id: "title"}, "One moment"),
		el("p", {class: "why", role: "alert"}, error instanceof Away ? "The broker does not answer." : error.message),
		el("p", {class: "help"}, "It is asked again by itself."));
}

/* "Live", "Paused", or what is wrong. */
export class Freshness {
	#dot = el("i", {"aria-hidden": "true"});
	#text = el("span");

	constructor() {
		this.node = el("p", {class: "fresh", role: "status"}, this.#dot, this.#text);
		this.show("calm", "Asking…");
	}

	show(tone, text, why = "") {
		this.node.className = `fresh ${tone}`;
		this.node.title = why;
		say(this.#text, text);
	}
}

/* A line over the page for what is wrong; an empty text: nothing. */
export class Banner {
	node;

	constructor(tone) {
		this.node = el("div", {class: `banner ${tone}`, role: "alert", hidden: true});
	}

	show(text) {
		this.node.hidden = text === "";
		say(this.node, text);
	}
}
