// Takes a picture from its file box, a drop, or a paste while the mouse is over it. Drawing is left
// out: what is drawn stays empty.
class ForgeCanvas {
    constructor(uuid) {
        this.uuid = uuid;
        const container = document.getElementById(`imageContainer_${uuid}`);
        const input = document.getElementById(`imageInput_${uuid}`);
        let hovered = false;
        input.style.display = "none";
        container.style.minHeight = "200px";
        container.addEventListener("mouseenter", () => hovered = true);
        container.addEventListener("mouseleave", () => hovered = false);
        container.addEventListener("click", () => input.click());
        input.addEventListener("change", () => this.take(input.files[0]));
        for (const name of ["dragenter", "dragover", "dragleave"]) {
            container.addEventListener(name, (event) => event.preventDefault());
        }
        container.addEventListener("drop", (event) => {
            event.preventDefault();
            event.stopPropagation();
            this.take(event.dataTransfer.files[0]);
        });
        document.addEventListener("paste", (event) => {
            if (hovered) this.take(event.clipboardData.files[0]);
        });
    }

    async take(file) {
        if (!file) return;
        const picture = await createImageBitmap(file);
        const canvas = document.getElementById(`drawingCanvas_${this.uuid}`);
        canvas.width = picture.width;
        canvas.height = picture.height;
        this.write("foreground", canvas.toDataURL());
        const context = canvas.getContext("2d");
        context.drawImage(picture, 0, 0);
        const url = canvas.toDataURL();
        context.clearRect(0, 0, canvas.width, canvas.height);
        document.getElementById(`image_${this.uuid}`).src = url;
        this.write("background", url);
    }

    write(layer, url) {
        const box = document.querySelector(`#${this.uuid}.logical_image_${layer} textarea`);
        if (!box) return;
        box.value = url;
        updateInput(box);
    }
}
