/* Where one is, as the address says behind the '#': "queues?space=shop&begins=a&open=…". */

/* {page, query: {name: text}} */
export function read(hash = location.hash) {
	const [page, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s, 2);
	return {page: page || "overview", query: Object.fromEntries(new URLSearchParams(query))};
}

export function write(page, query = {}) {
	const given = Object.entries(query).filter(([, v]) => v !== "" && v !== null && v !== undefined);
	return `#${page}${given.length > 0 ? `?${new URLSearchParams(given)}` : ""}`;
}

export function go(page, query) {
	location.hash = write(page, query);
}

/* The same place, said more exactly: no step for the Back button. */
export function amend(page, query) {
	history.replaceState(null, "", write(page, query));
}
