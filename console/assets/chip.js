/* A mark (marks.js) as a small label. */
import {el} from "./dom.js";

export function chip({tone, text, why}) {
	return el("span", {class: `chip ${tone}`, title: why}, text);
}
