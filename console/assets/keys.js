/* Keys that count wherever one is, but in fields and dialogs: "g" and a letter goes somewhere. */

const SECOND_MS = 1500; /* until the "g" is forgotten */

function isTaken(e) {
	return e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey
		|| document.querySelector("dialog[open]") !== null
		|| e.target.closest?.("input, select, textarea") !== null;
}

/* user: {go(letter), key(name)}; each is true when the key means something. */
export function listen(user) {
	let waits = 0; /* until then a letter is the second one */

	document.addEventListener("keydown", (e) => {
		if (isTaken(e))
			return;
		const now = performance.now();
		const second = now < waits;
		waits = !second && e.key === "g" ? now + SECOND_MS : 0;
		if (waits > 0 || (second ? user.go(e.key) : user.key(e.key)))
			e.preventDefault();
	});
}
