/* Included before every file of a hardened build: records the one switch that the compiler's own
 * record (-frecord-gcc-switches) leaves out, in a section that is not loaded and in which equal
 * lines are one.  test/e2e/test_hardening.py reads it. */
#ifndef SQ_CMAKE_RECORDED_H
#define SQ_CMAKE_RECORDED_H

#define RECORDED_TEXT(x) #x
#define RECORDED(x) RECORDED_TEXT(x)
__asm__(".pushsection .sqmqos.switches, \"MS\", %progbits, 1\n"
	".string \"_FORTIFY_SOURCE=" RECORDED(_FORTIFY_SOURCE) "\"\n"
							       ".popsection\n");
#undef RECORDED
#undef RECORDED_TEXT

#endif
