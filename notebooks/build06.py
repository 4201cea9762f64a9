import nbformat as nbf, sys
nb=nbf.v4.new_notebook(); C=[]
def md(id,s): C.append(nbf.v4.new_markdown_cell(s.strip("\n"),id=id))
def code(id,s,tags=None):
    c=nbf.v4.new_code_cell(s.strip("\n"),id=id)
    if tags: c.metadata={"jupyter":{"source_hidden":True},"tags":tags}
    C.append(c)
exec(open("cells06.py").read())
nb.cells=C
nbf.write(nb,sys.argv[1])
