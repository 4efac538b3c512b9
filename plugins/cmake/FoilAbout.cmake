# cmake -D SOURCE=infonce.cpp -D OUT=infonce_about.cpp -P FoilAbout.cmake: the comment at the head of a plugin's source as a text of the library,
# so that `foil describe` prints the formula, the paper and the snippet that the source states, and nothing is written twice.
file(READ ${SOURCE} text)
string(REGEX MATCH "^(//[^\n]*\n)+" head "${text}")
string(REGEX REPLACE "^// SPDX[^\n]*\n" "" head "${head}")
string(REGEX REPLACE "(^|\n)// ?" "\\1" head "${head}")
file(WRITE ${OUT} "extern \"C\" __attribute__((visibility(\"default\"))) const char foil_plugin_about[] = R\"foil(${head})foil\";\n")
