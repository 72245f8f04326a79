# Compiler settings and the one function that declares our libraries.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckIPOSupported)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

option(SQ_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(SQ_TSAN "ThreadSanitizer" OFF)
option(SQ_FUZZ "libFuzzer targets (clang)" OFF)
option(SQ_BROKEN_ACK "acknowledge before the commit, for ./dev torture --broken" OFF)
option(SQ_RULE_BROKEN "rules of the shared log that a test can break (store/shared/rule.h)" OFF)
option(SQ_BRIDGE_AMQP "bridges to RabbitMQ, by librabbitmq" ON)
option(SQ_BRIDGE_SQS "bridges to Amazon SQS, by libcurl" ON)
option(SQ_FAULTS "named fault points for crash tests (core/fault.h)" OFF)

add_library(sq_flags INTERFACE)
target_compile_definitions(sq_flags INTERFACE _GNU_SOURCE
	SQ_VERSION="${PROJECT_VERSION}")
target_compile_options(sq_flags INTERFACE
	-Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow -Wstrict-prototypes
	-Wmissing-prototypes -Wvla -Wformat=2 -Werror
	-fno-strict-aliasing -fno-common -fno-omit-frame-pointer)

# The system's folder has the headers of h2o and libcurl for everybody: in front of it stand some that
# refuse those who do not link sq_h2o, and all but net/curl; of libpq, all but store/postgres; and, of
# librabbitmq, all but broker/bridge/amqp.
target_include_directories(sq_flags SYSTEM INTERFACE ${CMAKE_SOURCE_DIR}/cmake/fence)

if(SQ_SANITIZE OR SQ_TSAN OR SQ_FUZZ)
	# What watches over the program from within needs what a hardened one is denied.
	target_compile_definitions(sq_flags INTERFACE SQ_WATCHED)
endif()
if(SQ_SANITIZE)
	target_compile_options(sq_flags INTERFACE
		-fsanitize=address,undefined -fno-sanitize-recover=all)
	target_link_options(sq_flags INTERFACE -fsanitize=address,undefined)
elseif(SQ_TSAN)
	target_compile_options(sq_flags INTERFACE -fsanitize=thread)
	target_link_options(sq_flags INTERFACE -fsanitize=thread)
else()
	# Hardening, as Debian builds its own packages.  Each object records how it was compiled:
	# test/e2e/test_hardening.py reads it in the released programs.
	target_compile_options(sq_flags INTERFACE
		-fstack-protector-strong -fstack-clash-protection
		$<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>
		-include ${CMAKE_SOURCE_DIR}/cmake/recorded.h)
	if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
		target_compile_options(sq_flags INTERFACE -fcf-protection=full)
	elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
		target_compile_options(sq_flags INTERFACE -mbranch-protection=standard)
	endif()
	target_link_options(sq_flags INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack
		-Wl,--as-needed)
endif()
if(SQ_BROKEN_ACK)
	target_compile_definitions(sq_flags INTERFACE SQ_BROKEN_ACK)
endif()
if(SQ_RULE_BROKEN)
	target_compile_definitions(sq_flags INTERFACE SQ_RULE_BROKEN)
endif()
if(SQ_FUZZ)
	target_compile_options(sq_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SQ_FAULTS)
	target_compile_definitions(sq_flags INTERFACE SQ_FAULTS)
endif()

# A release is optimised over the borders of files, where the compiler can do that: what a message goes through
# is many small functions of many files.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT DEFINED CMAKE_INTERPROCEDURAL_OPTIMIZATION)
	check_ipo_supported(RESULT lto LANGUAGES C)
	set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${lto} CACHE BOOL "link-time optimisation")
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	# What is inlined must not make a thread touch more of its stack than it did.
	target_compile_options(sq_flags INTERFACE $<$<CONFIG:Release>:-fconserve-stack>)
	if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
		# By itself it clears structs of 40 to 256 bytes by "rep stos", which takes longer to begin than to clear.
		target_compile_options(sq_flags INTERFACE
			$<$<CONFIG:Release>:-mmemset-strategy=vector_loop:256:noalign,libcall:-1:noalign>)
	endif()
endif()

# Asserts guard our own invariants and stay in release builds.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(H2O REQUIRED IMPORTED_TARGET libh2o-evloop)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(CJOSE REQUIRED IMPORTED_TARGET cjose)
if(SQ_BRIDGE_AMQP)
	pkg_check_modules(RABBITMQ REQUIRED IMPORTED_TARGET librabbitmq)
endif()
find_library(EV_LIBRARY ev REQUIRED)
find_library(LMDB_LIBRARY lmdb REQUIRED)
find_library(CRYPT_LIBRARY crypt REQUIRED)
find_library(WSLAY_LIBRARY wslay)

# h2o's headers are not warning-free; treat them as the system's.
add_library(sq_h2o INTERFACE)
target_include_directories(sq_h2o SYSTEM INTERFACE ${H2O_INCLUDE_DIRS})
target_compile_definitions(sq_h2o INTERFACE H2O_USE_LIBUV=0 SQ_SEES_H2O)
target_link_libraries(sq_h2o INTERFACE PkgConfig::H2O PkgConfig::OPENSSL m)

# sq_library(NAME SOURCES ... DEPENDS ... [USES ...]): a static library of ours, of the folder
# whose CMakeLists.txt says so; without sources, its headers alone.  USES: linked, too, but seen by
# its sources alone and not by who links it.  Headers are included by their path
# from the root ("core/buf.h").  The staging folder of each folder holds only links to the headers
# in it, not to those below it, and only who links the library is given it: so an include of what
# is not linked does not compile.
function(sq_library name)
	cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;USES" ${ARGN})
	set(scope PUBLIC)
	if(ARG_SOURCES)
		add_library(${name} STATIC ${ARG_SOURCES})
	else()
		set(scope INTERFACE)
		add_library(${name} INTERFACE)
	endif()
	target_link_libraries(${name} ${scope} sq_flags ${ARG_DEPENDS})
	if(ARG_USES)
		target_link_libraries(${name} PRIVATE ${ARG_USES})
	endif()
	stage_headers(stage)
	target_include_directories(${name} ${scope} ${stage})
endfunction()

# Leaves the staging folder of the folder's headers in 'result'.
function(stage_headers result)
	file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
	string(REPLACE "/" "." stage ${folder})
	set(stage ${CMAKE_BINARY_DIR}/include/${stage})
	file(MAKE_DIRECTORY ${stage}/${folder})
	file(GLOB headers ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
	foreach(header ${headers})
		get_filename_component(base ${header} NAME)
		file(CREATE_LINK ${header} ${stage}/${folder}/${base} SYMBOLIC)
	endforeach()
	file(GLOB links ${stage}/${folder}/*)
	foreach(link ${links})
		if(NOT EXISTS ${link}) # its header is gone
			file(REMOVE ${link})
		endif()
	endforeach()
	set(${result} ${stage} PARENT_SCOPE)
endfunction()
