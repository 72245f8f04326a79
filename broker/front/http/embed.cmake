# cmake -D IN=openapi.json -D OUT=openapi.c -P embed.cmake: the file's bytes as C.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n"
	bytes "${bytes}")
file(WRITE ${OUT} "/* Made from openapi.json by embed.cmake. */
#include \"broker/front/http/openapi.h\"

const unsigned char sq_http_openapi[] = {
${bytes}};
const size_t sq_http_openapi_len = sizeof sq_http_openapi;
")
