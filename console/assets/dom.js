/* Elements of the page.
 *
 * Names come from strangers: text is set as text, and there is no way in here to set markup. */

const SVG = "http://www.w3.org/2000/svg";

function dress(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) {
		if (name === "on") {
			for (const [event, run] of Object.entries(value))
				node.addEventListener(event, run);
		} else if (value === true) {
			node.setAttribute(name, "");
		} else if (value !== false && value !== null && value !== undefined) {
			node.setAttribute(name, value);
		}
	}
	node.append(...children.flat().filter((child) => child !== null && child !== undefined));
	return node;
}

/* An element; children are nodes or text.  on: {event: function}; false and null: not set. */
export function el(tag, attributes = {}, ...children) {
	return dress(document.createElement(tag), attributes, children);
}

/* The same of SVG. */
export function svg(tag, attributes = {}, ...children) {
	return dress(document.createElementNS(SVG, tag), attributes, children);
}

/* Sets the text of a node, where it is another: selections and screen readers stay calm. */
export function say(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

/* Puts children in place of what the node has. */
export function fill(node, ...children) {
	node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}
