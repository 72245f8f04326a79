/* Included before every file of a hardened build: records what the compiler was told, as it knows it
 * itself, in a section that is not loaded and in which equal lines are one.  The compiler's own record
 * (-frecord-gcc-switches) does not survive link-time optimisation.  test/e2e/test_hardening.py
 * reads it. */
#ifndef SQ_CMAKE_RECORDED_H
#define SQ_CMAKE_RECORDED_H

#define RECORDED_TEXT(x) #x
#define RECORDED(x) #x "=" RECORDED_TEXT(x) " "
__asm__(".pushsection .sqmqos.switches, \"MS\", %progbits, 1\n"
	".string \"" RECORDED(_FORTIFY_SOURCE) RECORDED(__OPTIMIZE__) RECORDED(__PIC__)
	    RECORDED(__SSP_STRONG__) RECORDED(__CET__) RECORDED(__ARM_FEATURE_BTI_DEFAULT)
		RECORDED(__ARM_FEATURE_PAC_DEFAULT) "\"\n"
						    ".popsection\n");
#undef RECORDED
#undef RECORDED_TEXT

#endif
