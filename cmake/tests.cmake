# How a test is declared.  The runner (test/run.py) asks CTest for the list.

pkg_check_modules(CRITERION IMPORTED_TARGET criterion)
if(NOT CRITERION_FOUND)
	message(STATUS "criterion is missing: unit and contract tests are left out")
endif()

add_custom_target(unit_tests)
add_custom_target(fuzzers)
add_custom_target(clients)

# test_executable(NAME LABEL SOURCES DEPENDS): one Criterion program.
function(test_executable name label sources depends)
	add_executable(${name} EXCLUDE_FROM_ALL ${sources})
	target_link_libraries(${name} PRIVATE ${depends} PkgConfig::CRITERION sq_flags)
	set_target_properties(${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
	# Criterion's Test() makes a function without a prototype.
	target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
	add_dependencies(unit_tests ${name})
	add_test(NAME ${label}/${name} COMMAND ${name})
	set_tests_properties(${label}/${name} PROPERTIES LABELS ${label})
endfunction()

# sq_unit_test(NAME SOURCES ... DEPENDS ...): test/unit/, of one module.
function(sq_unit_test name)
	cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
	if(CRITERION_FOUND AND NOT SQ_FUZZ)
		test_executable(${name} unit "${ARG_SOURCES}" "${ARG_DEPENDS}")
	endif()
endfunction()

# sq_contract_test(NAME SOURCES ... DEPENDS ...): test/contract/, a suite that
# every implementation of one contract passes.
function(sq_contract_test name)
	cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
	if(CRITERION_FOUND AND NOT SQ_FUZZ)
		test_executable(${name} contract "${ARG_SOURCES}" "${ARG_DEPENDS}")
	endif()
endfunction()

# sq_asked_program(NAME SOURCES ... DEPENDS ...): test/support/, a decoder that a scenario of
# test/e2e/ asks by pipes, to compare it with another.
function(sq_asked_program name)
	cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
	if(SQ_FUZZ)
		return()
	endif()
	add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
	target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} sq_flags)
	set_target_properties(${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
	add_dependencies(unit_tests ${name})
endfunction()

# sq_fuzz_target(NAME SOURCES ... DEPENDS ... [CORPUS DIR]): test/fuzz/, one
# decoder with an LLVMFuzzerTestOneInput(); built by the fuzz preset only.
# CORPUS, if given, is a folder of seeds.
function(sq_fuzz_target name)
	cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPENDS" ${ARGN})
	if(NOT SQ_FUZZ)
		return()
	endif()
	add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
	target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} sq_flags)
	target_link_options(${name} PRIVATE -fsanitize=fuzzer)
	target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
	set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
	add_dependencies(fuzzers ${name})
	if(ARG_CORPUS)
		get_filename_component(corpus ${ARG_CORPUS} ABSOLUTE)
	endif()
	add_test(NAME fuzz/${name} COMMAND ${name} ${corpus})
	set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz)
endfunction()

# sq_client(NAME SOURCES ...): test/e2e/, an ordinary MQTT application on
# libpaho.  Not instrumented: what it leaks is not ours.
find_library(PAHO_LIBRARY paho-mqtt3c)
function(sq_client name)
	cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
	if(NOT PAHO_LIBRARY)
		return()
	endif()
	add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
	target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
	target_compile_options(${name} PRIVATE -Wall -Wextra -Werror)
	target_link_libraries(${name} PRIVATE ${PAHO_LIBRARY} Threads::Threads)
	set_target_properties(${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
	add_dependencies(clients ${name})
endfunction()
