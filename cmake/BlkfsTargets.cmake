# SPDX-License-Identifier: MIT
# How a room and a test are declared.

# blkfs_add_folders(folder...): add_subdirectory for those which are there.
function(blkfs_add_folders)
	foreach(folder IN LISTS ARGN)
		if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
			add_subdirectory(${folder})
		endif()
	endforeach()
endfunction()

# blkfs_room(NAME name SOURCES file... [LIBS target...])
#
# The static library blkfs_<name>. Headers are found as "base/x.h", "blkfs/x.h" and, from the root,
# "fs/cache/x.h"; who may include whom is tools/checks/includes's business. LIBS are seen by users too.
function(blkfs_room)
	cmake_parse_arguments(ARG "" "NAME" "SOURCES;LIBS" ${ARGN})
	if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_NAME OR NOT ARG_SOURCES)
		message(FATAL_ERROR "blkfs_room(NAME name SOURCES file... [LIBS target...]): got ${ARGN}")
	endif()
	set(target blkfs_${ARG_NAME})
	add_library(${target} STATIC ${ARG_SOURCES})
	target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})
	target_link_libraries(${target} PUBLIC ${ARG_LIBS})
endfunction()

# blkfs_test_register(NAME name COMMAND word... LABELS label... TIMEOUT seconds)
#
# A ctest entry "<room>.<name>". Whatever needs a mount or root runs alone.
function(blkfs_test_register)
	cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "COMMAND;LABELS" ${ARGN})
	if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_NAME OR NOT ARG_COMMAND OR NOT ARG_LABELS OR NOT ARG_TIMEOUT)
		message(FATAL_ERROR "blkfs_test_register(NAME COMMAND LABELS TIMEOUT): got ${ARGN}")
	endif()
	foreach(label IN LISTS ARG_LABELS)
		if(NOT label MATCHES "^(fast|system|sim|full|soak|vm)$")
			message(FATAL_ERROR "test ${ARG_NAME}: unknown label '${label}'")
		endif()
	endforeach()
	file(RELATIVE_PATH room ${CMAKE_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
	string(REGEX REPLACE "^\\.\\./" "" room "${room}")
	string(REPLACE "/" "_" room "${room}")
	set(entry ${room}.${ARG_NAME})
	# One test of the binary that hangs is ended and named by the runner, five seconds before ctest
	# ends the whole.
	math(EXPR test_timeout "${ARG_TIMEOUT} * ${BLKFS_TIMEOUT_SCALE}")
	math(EXPR timeout "${test_timeout} + 5")
	set(environment
		BLKFS_SOURCE_DIR=${CMAKE_SOURCE_DIR}
		BLKFS_BUILD_DIR=${CMAKE_BINARY_DIR}
		BLKFS_TEST_TIMEOUT=${test_timeout}
		BLKFS_TIMEOUT_SCALE=${BLKFS_TIMEOUT_SCALE}
		ASAN_OPTIONS=detect_stack_use_after_return=0
		"TSAN_OPTIONS=halt_on_error=1 second_deadlock_stack=1"
		UBSAN_OPTIONS=print_stacktrace=1
	)
	add_test(NAME ${entry} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
	set_tests_properties(${entry} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${timeout}
		ENVIRONMENT "${environment}")
	if("system" IN_LIST ARG_LABELS OR "soak" IN_LIST ARG_LABELS OR "vm" IN_LIST ARG_LABELS)
		set_tests_properties(${entry} PROPERTIES RUN_SERIAL TRUE)
	endif()
endfunction()

# blkfs_test(NAME name SOURCES file... [LIBS target...] LABELS label... TIMEOUT seconds [ARGS word...])
#
# One test binary with tests/lib/test.h, one ctest entry. TIMEOUT is for the whole binary in a
# release build (sanitizer builds get more); the runner enforces it for each test too, so that a
# test that hangs is named.
function(blkfs_test)
	cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS;ARGS" ${ARGN})
	if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_NAME OR NOT ARG_SOURCES OR NOT ARG_LABELS OR NOT ARG_TIMEOUT)
		message(FATAL_ERROR "blkfs_test(NAME SOURCES [LIBS] LABELS TIMEOUT [ARGS]): got ${ARGN}")
	endif()
	file(RELATIVE_PATH room ${CMAKE_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
	string(REPLACE "/" "_" room "${room}")
	set(target test_${room}_${ARG_NAME})
	add_executable(${target} ${ARG_SOURCES})
	target_link_libraries(${target} PRIVATE blkfs_test_lib ${ARG_LIBS})
	blkfs_test_register(NAME ${ARG_NAME}
		COMMAND $<TARGET_FILE:${target}> -j1 ${ARG_ARGS}
		LABELS ${ARG_LABELS} TIMEOUT ${ARG_TIMEOUT})
endfunction()
