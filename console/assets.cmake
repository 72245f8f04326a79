# cmake -D OUT=assets.c -D PAGE=index.html -D ASSETS=a.js|b.css -P assets.cmake
#
# Writes OUT: console/assets.h's table, from the files' bytes and nothing else, so that the same files
# make the same program.  The page names its files "assets/…"; they are served from a folder that is
# named after their content, and a browser may keep them for ever.
string(REPLACE "|" ";" ASSETS "${ASSETS}")

set(types_html "text/html; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_svg "image/svg+xml")

set(digests "")
foreach(file IN LISTS ASSETS)
	file(SHA256 ${file} digest)
	get_filename_component(name ${file} NAME)
	string(APPEND digests "${name} ${digest}\n")
endforeach()
string(SHA256 folder "${digests}")
string(SUBSTRING ${folder} 0 16 folder)

set(bodies "")
set(rows "")
set(n 0)

# One more file: its path, its name for the type, its bytes as hexadecimal digits.
macro(add path name hex immutable)
	string(REGEX REPLACE "^.*\\.([a-z]+)$" "\\1" kind ${name})
	string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
	string(REGEX REPLACE "(................................................................................)" "\\1\n"
		bytes "${bytes}")
	string(APPEND bodies "static const unsigned char file_${n}[] = {\n${bytes}};\n\n")
	string(APPEND rows
		"\t{\"${path}\", \"${types_${kind}}\", file_${n}, sizeof file_${n}, ${immutable}},\n")
	math(EXPR n "${n} + 1")
endmacro()

file(READ ${PAGE} page HEX)
string(HEX "assets/" from)
string(HEX "${folder}/" to)
string(REPLACE "${from}" "${to}" page "${page}")
add("" index.html "${page}" false)
foreach(file IN LISTS ASSETS)
	file(READ ${file} hex HEX)
	get_filename_component(name ${file} NAME)
	add("${folder}/${name}" ${name} "${hex}" true)
endforeach()

file(WRITE ${OUT} "/* Made from console/ by console/assets.cmake. */
#include \"console/assets.h\"

${bodies}const struct sq_console_asset sq_console_assets[] = {
${rows}};
const size_t sq_console_n_assets = sizeof sq_console_assets / sizeof sq_console_assets[0];
")
