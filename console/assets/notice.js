/* A line that says what has been done, or why not; it goes by itself. */
import {el} from "./dom.js";

const SHOWN_MS = 8000;

const place = el("div", {class: "notices", role: "status", "aria-live": "polite"});

export const node = place;

export function notice(tone, text) {
	const line = el("p", {class: `notice ${tone}`}, el("span", {}, text),
		el("button", {type: "button", "aria-label": "Dismiss", on: {click: () => line.remove()}}, "×"));
	place.append(line);
	while (place.children.length > 3)
		place.firstChild.remove();
	setTimeout(() => line.remove(), SHOWN_MS);
}
