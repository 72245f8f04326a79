/* The way to the pages, and what stands beside it on every page. */
import {el, fill, say} from "./dom.js";
import {isPaused, pause} from "./poll.js";
import * as scheme from "./scheme.js";

const SCHEMES = {system: "Colours: system", light: "Colours: light", dark: "Colours: dark"};

export class Menu {
	#list = el("ul");
	#version = el("span", {class: "version"});
	#nav;
	#open;

	/* fresh: the node that says how fresh all is; help(): shows the keys. */
	constructor(fresh, help) {
		const paused = el("button", {type: "button", "aria-pressed": "false", on: {
			click: () => {
				pause(!isPaused());
				paused.setAttribute("aria-pressed", String(isPaused()));
				say(paused, isPaused() ? "Go on" : "Pause");
			},
		}}, "Pause");
		const turn = el("button", {type: "button", on: {
			click: () => say(turn, SCHEMES[scheme.turn()]),
		}}, SCHEMES[scheme.current()]);
		this.#open = el("button", {type: "button", class: "open", "aria-expanded": "false", "aria-controls": "menu",
			on: {click: () => this.toggle()}}, "Menu");
		this.#nav = el("nav", {id: "menu", "aria-label": "Pages"}, this.#list,
			el("div", {class: "buttons"}, paused, turn,
				el("button", {type: "button", "aria-keyshortcuts": "?", on: {click: help}}, "Shortcuts")));
		this.node = el("header", {class: "menu"},
			el("a", {class: "brand", href: "#overview"}, "SQMQOS ", this.#version), fresh, this.#open, this.#nav);
	}

	/* The broker's. */
	version(text) {
		say(this.#version, text);
	}

	/* pages: [{page, title, jump}] */
	show(pages) {
		fill(this.#list, pages.map(({page, title, jump}) => el("li", {},
			el("a", {href: `#${page}`, "data-page": page}, title,
				jump ? el("kbd", {"aria-hidden": "true"}, `g ${jump}`) : null))));
	}

	/* Which of them one is on. */
	at(page) {
		for (const a of this.#list.querySelectorAll("a")) {
			if (a.dataset.page === page)
				a.setAttribute("aria-current", "page");
			else
				a.removeAttribute("aria-current");
		}
		this.toggle(false);
	}

	/* Where there is little room, the menu is folded. */
	toggle(open = this.#open.getAttribute("aria-expanded") !== "true") {
		this.#open.setAttribute("aria-expanded", String(open));
		this.#nav.classList.toggle("unfolded", open);
	}
}
