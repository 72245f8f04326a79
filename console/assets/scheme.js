/* Dark or light: as the system says, until a person says otherwise. */

const KEY = "sqmqos-scheme";
const ORDER = ["system", "light", "dark"];

/* Storage may be denied to the page. */
function stored() {
	try {
		return localStorage.getItem(KEY);
	} catch {
		return null;
	}
}

let scheme = ORDER.includes(stored()) ? stored() : "system";

function apply() {
	if (scheme === "system")
		delete document.documentElement.dataset.scheme;
	else
		document.documentElement.dataset.scheme = scheme;
}

export function current() {
	return scheme;
}

/* The next one; returns it. */
export function turn() {
	scheme = ORDER[(ORDER.indexOf(scheme) + 1) % ORDER.length];
	try {
		localStorage.setItem(KEY, scheme);
	} catch {
		/* it is kept until the page is left */
	}
	apply();
	return scheme;
}

apply();
